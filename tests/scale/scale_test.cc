// What must hold at any size, checked at a tenth of it: replies and znodes within ZooKeeper's limits, rounds that are
// bounded however many nodes and SKUs there are, every buyer served, nothing stranded.
#include <glog/logging.h>

#include <algorithm>

#include "gtest/gtest.h"
#include "quota/coordination/coordination.h"
#include "tests/scale/scenarios.h"

namespace tranche::testing {
namespace {

constexpr int64_t kMaxReplyBytes = 1024 * 1024;
// The balancer's own limits: slices per round and kind of work, plus what a first look at everything adds.
constexpr int64_t kMostCalls = 200;
constexpr int64_t kMostSlots = 4096;
constexpr int64_t kMostWrites = 4096;

class ScaleTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    FLAGS_minloglevel = google::GLOG_WARNING;
    const ScaleOptions options{
        .nodes = 100, .skus = 5000, .active = 200, .presplit = 100, .units_per_node = 100, .askers = 20, .seed = 1};
    result_ = new ScaleResult(RunScenarios(options, [](const Phase&) {}));
  }
  static void TearDownTestSuite() { delete result_; }

  static const ScaleResult* result_;
};

const ScaleResult* ScaleTest::result_ = nullptr;

TEST_F(ScaleTest, EverythingIsReachedAndEveryBuyerServed) {
  for (const Phase& phase : result_->phases) {
    EXPECT_TRUE(phase.reached) << phase.name;
    EXPECT_EQ(phase.waiting, 0) << phase.name;
  }
}

TEST_F(ScaleTest, NothingIsStrandedAndNothingIsWrong) {
  EXPECT_EQ(result_->violations, 0);
  EXPECT_EQ(result_->stranded, 0);
  EXPECT_EQ(result_->differences.unannounced, 0);
  EXPECT_EQ(result_->differences.left_over, 0);
}

TEST_F(ScaleTest, RepliesAndZnodesStayWithinZookeepersLimits) {
  for (const auto& [folder, size] : result_->tree) {
    EXPECT_LT(size.longest_list_bytes, kMaxReplyBytes) << folder;
    EXPECT_LE(size.largest_znode, static_cast<int64_t>(quota::kMaxZnodeBytes)) << folder;
  }
  EXPECT_LE(result_->largest_report, static_cast<int64_t>(quota::kMaxZnodeBytes));
}

TEST_F(ScaleTest, NoRoundDoesMoreThanAPiece) {
  for (const Phase& phase : result_->phases) {
    EXPECT_LE(phase.most.ledger_calls, kMostCalls) << phase.name;
    EXPECT_LE(phase.most.slots_changed, kMostSlots) << phase.name;
    EXPECT_LE(phase.most.zk_writes, kMostWrites) << phase.name;
  }
}

}  // namespace
}  // namespace tranche::testing
