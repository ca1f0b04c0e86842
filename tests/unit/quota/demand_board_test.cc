#include "quota/balancer/demand_board.h"

#include <limits>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/fake/fake_coordination.h"
#include "tests/unit/quota/tree_tools.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {
namespace {

using internal::v1::DemandReport;
using storage::IncarnationId;
using Skus = std::vector<std::string>;

constexpr absl::Duration kRetry = absl::Seconds(1);

// The balancer's session.
class Listener : public Bystander {
 public:
  using Bystander::Bystander;
  void OnChanged(const std::string& path) override { heard.insert(path); }

  std::set<std::string> heard;
};

class DemandBoardTest : public ::testing::Test {
 protected:
  static DemandReport::SkuDemand Sku(const std::string& sku_id, int64_t wanted, double rate, int64_t free = 0) {
    DemandReport::SkuDemand sku;
    sku.set_sku_id(sku_id);
    sku.set_wanted(wanted);
    sku.set_grants_per_s(rate);
    sku.set_free(free);
    return sku;
  }
  void Report(IncarnationId incarnation, const std::vector<DemandReport::SkuDemand>& skus, bool cannot_commit = false) {
    DemandReport report;
    for (const auto& sku : skus) *report.add_skus() = sku;
    report.set_cannot_commit(cannot_commit);
    Write(incarnation, report.SerializeAsString());
  }
  void Write(IncarnationId incarnation, const std::string& data) {
    absl::Status written = nodes_.tree().Set(DemandPath(incarnation), data, kAnyVersion);
    if (absl::IsNotFound(written)) {
      written = nodes_.tree().Create(DemandPath(incarnation), data, CreateMode::kEphemeral);
    }
    ASSERT_TRUE(written.ok()) << written;
  }
  void ReadAll() { ASSERT_TRUE(board_.Read(balancer_.tree(), /*everything=*/true, {}).ok()); }
  void ReadOnly(const std::set<IncarnationId>& changed) {
    ASSERT_TRUE(board_.Read(balancer_.tree(), /*everything=*/false, changed).ok());
  }
  Skus TakeDue(size_t limit = 100) { return board_.TakeDue(now_, limit); }

  absl::Time now_ = absl::UnixEpoch() + absl::Hours(1);
  FakeZookeeper zookeeper_;
  FakeConnector connector_{&zookeeper_};
  Bystander nodes_{&connector_};
  Listener balancer_{&connector_};
  DemandBoard board_{kRetry};
};

TEST_F(DemandBoardTest, KnowsWhoReportsWhatOfASku) {
  DemandReport::SkuDemand tv = Sku("tv", 2, 30, -1);
  tv.set_denials_per_s(12.5);
  tv.set_slice_version(9);
  Report(1, {tv, Sku("radio", 0, 1)});
  Report(2, {Sku("tv", 0, 5, 100)});
  ReadAll();
  const DemandByNode demand = board_.DemandOf("tv");
  ASSERT_EQ(demand.size(), 2u);
  EXPECT_EQ(demand.at(1).wanted, 2);
  EXPECT_EQ(demand.at(1).milli_rate, 42500) << "asked for, granted or not";
  EXPECT_EQ(demand.at(1).free, -1);
  EXPECT_EQ(demand.at(1).slice_version, 9);
  EXPECT_EQ(demand.at(2).milli_rate, 5000);
  EXPECT_TRUE(board_.Wanted("tv"));
  EXPECT_FALSE(board_.Wanted("radio"));
  EXPECT_TRUE(board_.DemandOf("unknown").empty());
}

TEST_F(DemandBoardTest, ReadsWhatChangedAndHearsOfTheNextChange) {
  Report(1, {Sku("tv", 1, 0)});
  Report(2, {Sku("tv", 1, 0)});
  ReadAll();
  Report(1, {});
  Report(2, {});
  EXPECT_EQ(balancer_.heard, (std::set<std::string>{DemandPath(1), DemandPath(2)}));
  ReadOnly({1});
  EXPECT_EQ(board_.DemandOf("tv").size(), 1u) << "the other one was not said to have changed";
  ReadOnly({2});
  EXPECT_TRUE(board_.DemandOf("tv").empty());
  balancer_.heard.clear();
  Report(3, {Sku("tv", 1, 0)});
  EXPECT_EQ(balancer_.heard, (std::set<std::string>{kDemandPath}));
  ReadOnly({});
  EXPECT_TRUE(board_.Wanted("tv")) << "a newcomer is read in any case";
}

TEST_F(DemandBoardTest, AReportThatIsKeptFromTheBalancerIsNone) {
  Report(1, {Sku("tv", 1, 0)});
  Report(2, {Sku("tv", 1, 0)});
  ReadAll();
  zookeeper_.KeepFromAll(DemandPath(1));
  Report(2, {Sku("radio", 1, 0)});
  ReadAll();
  EXPECT_FALSE(board_.Wanted("tv")) << "what it has reported before is too old";
  EXPECT_TRUE(board_.Wanted("radio"));
}

TEST_F(DemandBoardTest, WhatIsNewIsDueOnceAndAgainWhileItIsWanted) {
  Report(1, {Sku("tv", 1, 0)});
  ReadAll();
  EXPECT_TRUE(board_.HasDue());
  EXPECT_EQ(TakeDue(), (Skus{"tv"}));
  EXPECT_FALSE(board_.HasDue());
  now_ += kRetry - absl::Milliseconds(1);
  EXPECT_EQ(TakeDue(), Skus{});
  now_ += absl::Milliseconds(1);
  EXPECT_EQ(TakeDue(), (Skus{"tv"})) << "nobody said anything new, but it is still not served";
  EXPECT_EQ(TakeDue(), Skus{});
  Report(1, {});
  ReadAll();
  now_ += kRetry;
  EXPECT_EQ(TakeDue(), Skus{});
}

TEST_F(DemandBoardTest, TheWantedComeBeforeTheLowAndTheLimitHolds) {
  Report(1, {Sku("a-low", 0, 100, 5), Sku("b-fine", 0, 100, 500), Sku("y-wanted", 1, 0), Sku("z-wanted", 1, 0)});
  ReadAll();
  EXPECT_EQ(TakeDue(1), (Skus{"y-wanted"}));
  EXPECT_EQ(TakeDue(1), (Skus{"z-wanted"}));
  EXPECT_TRUE(board_.HasDue());
  EXPECT_EQ(TakeDue(1), (Skus{"a-low"}));
  EXPECT_FALSE(board_.HasDue());
}

TEST_F(DemandBoardTest, WhatIsAskedForAfterSellOutMovesNothing) {
  DemandReport::SkuDemand tv = Sku("tv", 0, 0);
  tv.set_refused_per_s(5000);
  Report(1, {tv});
  ReadAll();
  EXPECT_FALSE(board_.HasDue());
  EXPECT_FALSE(board_.Wanted("tv"));
  ASSERT_TRUE(board_.DemandOf("tv").contains(1));
  EXPECT_EQ(board_.DemandOf("tv").at(1).milli_rate, 0);
}

TEST_F(DemandBoardTest, ANodeThatIsGoneIsForgottenAndWhoWantsItsUnitsIsDue) {
  Report(1, {Sku("tv", 1, 0)});
  Report(2, {Sku("tv", 0, 100, 50), Sku("radio", 1, 0)});
  ReadAll();
  TakeDue();
  ASSERT_TRUE(nodes_.tree().Delete(DemandPath(2), kAnyVersion).ok());
  ReadOnly({});
  EXPECT_EQ(board_.DemandOf("tv").size(), 1u);
  EXPECT_FALSE(board_.Wanted("radio"));
  EXPECT_EQ(TakeDue(), (Skus{"tv"}));
}

TEST_F(DemandBoardTest, WhoCannotCommitIsKnown) {
  Report(1, {}, /*cannot_commit=*/true);
  Report(2, {});
  ReadAll();
  EXPECT_EQ(board_.CannotCommit(), (std::set<IncarnationId>{1}));
  Report(1, {});
  ReadOnly({1});
  EXPECT_TRUE(board_.CannotCommit().empty());
}

TEST_F(DemandBoardTest, StrangeReportsDoNoHarm) {
  Report(1, {Sku("tv", 3, 1)});
  ReadAll();
  Write(1, "\xff\xff");
  ReadAll();
  EXPECT_EQ(board_.DemandOf("tv").at(1).wanted, 3) << "what cannot be read says nothing";
  Report(1, {Sku("tv", -5, std::numeric_limits<double>::quiet_NaN()), Sku("radio", 1, -7),
             Sku("book", 1, std::numeric_limits<double>::infinity())});
  ReadAll();
  EXPECT_EQ(board_.DemandOf("tv").at(1).wanted, 0);
  EXPECT_EQ(board_.DemandOf("tv").at(1).milli_rate, 0);
  EXPECT_EQ(board_.DemandOf("radio").at(1).milli_rate, 0);
  EXPECT_EQ(board_.DemandOf("book").at(1).milli_rate, 1'000'000'000'000);
  ASSERT_TRUE(nodes_.tree().Create(std::string(kDemandPath) + "/stranger", "", CreateMode::kEphemeral).ok());
  ReadAll();
}

TEST_F(DemandBoardTest, AMissingFolderIsToldAndNothingIsForgotten) {
  Report(1, {Sku("tv", 1, 0)});
  ReadAll();
  nodes_.DeleteAll(kDemandPath);
  EXPECT_TRUE(absl::IsNotFound(board_.Read(balancer_.tree(), true, {})));
  EXPECT_TRUE(board_.Wanted("tv"));
  board_.Clear();
  EXPECT_FALSE(board_.Wanted("tv"));
  EXPECT_FALSE(board_.HasDue());
}

}  // namespace
}  // namespace tranche::quota
