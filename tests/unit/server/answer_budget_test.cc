#include "server/rpc/answer_budget.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/errors.h"

namespace tranche::server {
namespace {

constexpr int64_t kLots = 1000000;
// Two connections of one machine, and one of another.
constexpr char kUnreadHere[] = "ipv4:10.0.0.1:1001";
constexpr char kUnreadBeside[] = "ipv4:10.0.0.1:1002";
constexpr char kUnreadAway[] = "ipv4:10.0.0.2:1001";

class AnswerBudgetTest : public ::testing::Test {
 protected:
  void Begin(const AnswerLimits& limits) { budget_ = std::make_unique<AnswerBudget>(limits, &clock_); }

  // Whether there was room; if so, the answer waits until Read.
  bool Answer(const std::string& peer, int64_t bytes) {
    auto share = budget_->Take(peer, bytes, [this, peer] { cancelled_.push_back(peer); });
    if (share.ok()) {
      shares_.push_back(*std::move(share));
      return true;
    }
    google::rpc::ErrorInfo info;
    const google::rpc::Status rpc = ToRpcStatus(share.status());
    EXPECT_TRUE(rpc.details(0).UnpackTo(&info));
    EXPECT_EQ(info.reason(), "OVERLOADED");
    EXPECT_EQ(share.status().code(), absl::StatusCode::kUnavailable);
    return false;
  }
  // The oldest one.
  void Read() { shares_.erase(shares_.begin()); }

  storage::FakeClock clock_;
  std::unique_ptr<AnswerBudget> budget_;
  std::vector<std::unique_ptr<AnswerShare>> shares_;  // destroyed before the budget
  std::vector<std::string> cancelled_;
};

TEST_F(AnswerBudgetTest, AConnectionThatReadsNothingLeavesTheOthersAlone) {
  Begin({.node_bytes = kLots, .address_bytes = kLots, .connection_bytes = 1000});
  EXPECT_TRUE(Answer(kUnreadHere, 600));
  EXPECT_TRUE(Answer(kUnreadHere, 400));
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(Answer(kUnreadHere, 1)) << "what is refused takes nothing";
  EXPECT_TRUE(Answer(kUnreadBeside, 1000));
  Read();
  EXPECT_TRUE(Answer(kUnreadHere, 600));
}

TEST_F(AnswerBudgetTest, ACallerWithManyConnectionsLeavesTheOthersAlone) {
  Begin({.node_bytes = kLots, .address_bytes = 1500, .connection_bytes = 1000});
  EXPECT_TRUE(Answer(kUnreadHere, 1000));
  EXPECT_FALSE(Answer(kUnreadBeside, 501));
  EXPECT_TRUE(Answer(kUnreadBeside, 500));
  EXPECT_TRUE(Answer(kUnreadAway, 1000));
}

TEST_F(AnswerBudgetTest, AllCallersShareWhatTheNodeHas) {
  Begin({.node_bytes = 2000, .address_bytes = 1500, .connection_bytes = 1000});
  EXPECT_TRUE(Answer(kUnreadHere, 1000));
  EXPECT_TRUE(Answer(kUnreadBeside, 500));
  EXPECT_FALSE(Answer(kUnreadAway, 501));
  EXPECT_TRUE(Answer(kUnreadAway, 500));
  EXPECT_EQ(budget_->bytes(), 2000);
  while (!shares_.empty()) Read();
  EXPECT_EQ(budget_->bytes(), 0);
}

TEST_F(AnswerBudgetTest, AnAnswerThatIsLargerThanItsShareTakesAllOfIt) {
  Begin({.node_bytes = kLots, .address_bytes = kLots, .connection_bytes = 1000});
  EXPECT_TRUE(Answer(kUnreadHere, 5000));
  EXPECT_FALSE(Answer(kUnreadHere, 1));
  Read();
  EXPECT_TRUE(Answer(kUnreadHere, 1));
  EXPECT_FALSE(Answer(kUnreadHere, 5000));
}

TEST_F(AnswerBudgetTest, AChangeIsRefusedBeforeItBeginsAndNeverAfterwards) {
  Begin({.node_bytes = kLots, .address_bytes = kLots, .connection_bytes = 1000});
  EXPECT_TRUE(budget_->Admit(kUnreadHere).ok());
  EXPECT_EQ(budget_->bytes(), 0) << "it takes nothing yet";
  EXPECT_TRUE(Answer(kUnreadHere, 900));
  EXPECT_TRUE(budget_->Admit(kUnreadHere).ok());
  shares_.push_back(budget_->TakeAnyway(kUnreadHere, 900, [] {}));
  EXPECT_EQ(budget_->bytes(), 1800);
  EXPECT_EQ(budget_->Admit(kUnreadHere).code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(budget_->Admit(kUnreadBeside).ok());
  Read();
  EXPECT_TRUE(budget_->Admit(kUnreadHere).ok());
}

TEST_F(AnswerBudgetTest, OnlyWhatWaitsTooLongAndIsInTheWayIsCancelled) {
  Begin({.node_bytes = 2100, .address_bytes = 1500, .connection_bytes = 1000, .unread_timeout = absl::Seconds(10)});
  EXPECT_TRUE(Answer(kUnreadHere, 600));
  EXPECT_TRUE(Answer(kUnreadBeside, 600));
  EXPECT_TRUE(Answer(kUnreadAway, 600));
  clock_.AdvanceBy(absl::Seconds(9));
  EXPECT_TRUE(Answer(kUnreadHere, 300));
  EXPECT_FALSE(Answer(kUnreadHere, 500));
  EXPECT_TRUE(cancelled_.empty()) << "none has waited for ten seconds";
  clock_.AdvanceBy(absl::Seconds(2));
  EXPECT_TRUE(cancelled_.empty()) << "nobody needs the room";
  EXPECT_FALSE(Answer(kUnreadHere, 500));
  EXPECT_EQ(cancelled_, std::vector<std::string>({kUnreadHere})) << "its connection has no room";
  EXPECT_FALSE(Answer(kUnreadBeside, 300));
  EXPECT_EQ(cancelled_, std::vector<std::string>({kUnreadHere, kUnreadBeside}))
      << "its address has no room, and no call ends twice";
  EXPECT_FALSE(Answer("ipv4:10.0.0.3:1001", 300));
  EXPECT_EQ(cancelled_, std::vector<std::string>({kUnreadHere, kUnreadBeside, kUnreadAway})) << "the node has no room";
  // What they took is there again once their calls are over.
  EXPECT_EQ(budget_->bytes(), 2100);
  Read();
  EXPECT_TRUE(Answer("ipv4:10.0.0.3:1001", 300));
}

TEST_F(AnswerBudgetTest, ACallThatNeedsRoomForAChangeCancelsToo) {
  Begin({.node_bytes = 1000, .address_bytes = 1000, .connection_bytes = 1000, .unread_timeout = absl::Seconds(10)});
  EXPECT_TRUE(Answer(kUnreadHere, 1000));
  clock_.AdvanceBy(absl::Seconds(10));
  EXPECT_FALSE(budget_->Admit(kUnreadAway).ok());
  EXPECT_EQ(cancelled_, std::vector<std::string>({kUnreadHere}));
}

}  // namespace
}  // namespace tranche::server
