#include "quota/node/node_drain.h"

#include "gtest/gtest.h"
#include "tests/unit/quota/node_agent_fixture.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;

TEST_F(BegunNodeAgentTest, ARequestToDrainIsPassedOnOnceAndOnlyToTheOneWhomItNames) {
  ASSERT_TRUE(tree().Create(DrainPath(agent_.incarnation() + 1), "", CreateMode::kPersistent).ok());
  Turns();
  EXPECT_EQ(drain_calls_, 0) << "that was for another node";
  AskToDrain();
  EXPECT_TRUE(draining_);
  ASSERT_TRUE(tree().Create(DrainPath(agent_.incarnation() + 2), "", CreateMode::kPersistent).ok());
  Turns();
  EXPECT_EQ(drain_calls_, 1);
}

// Somebody who can write to ZooKeeper, and is no operator.
TEST_F(BegunNodeAgentTest, AStrangersRequestToDrainStopsNoNode) {
  Give(4);
  internal::v1::DrainRequest request;
  request.set_exit(true);
  ASSERT_TRUE(
      tree().Create(DrainPath(agent_.incarnation()), request.SerializeAsString(), CreateMode::kPersistent).ok());
  Turns();
  EXPECT_FALSE(draining_);
  EXPECT_EQ(exits_, 0);
  EXPECT_EQ(Pool(), 6) << "it keeps its units";
}

TEST_F(BegunNodeAgentTest, ARequestToDrainWaitsForTheLedgersWord) {
  Give(4);
  ledger_.FailNext(1);
  ASSERT_TRUE(tree().Create(DrainPath(agent_.incarnation()), "", CreateMode::kPersistent).ok());
  agent_.RunOnce();
  EXPECT_FALSE(draining_);
  ASSERT_TRUE(ledger_.SetDraining(agent_.incarnation(), true, "operator").ok());
  clock_.AdvanceBy(options_.resync_interval);
  Turns();
  EXPECT_TRUE(draining_);
  // Deleted by a stranger: the ledger has it still.
  ASSERT_TRUE(tree().Delete(DrainPath(agent_.incarnation()), kAnyVersion).ok());
  Turns();
  EXPECT_TRUE(draining_);
}

TEST_F(BegunNodeAgentTest, DrainingHandsTheUnitsBackWhenEveryGrantIsDecided) {
  Give(4);
  idle_ = false;
  AskToDrain();
  EXPECT_TRUE(draining_);
  EXPECT_EQ(Pool(), 6) << "its own grants are not decided yet";
  EXPECT_LE(agent_.TurnInterval(), absl::Milliseconds(10));
  idle_ = true;
  Turns();
  EXPECT_EQ(Pool(), 10);
  Turns();
  EXPECT_EQ(Free(), 0) << "it hears of it as of any move";
  EXPECT_EQ(exits_, 0);
  ExpectOnlyLive(agent_.incarnation());
  EXPECT_EQ(ledger_.ListAudit({.sku_id = "tv"}, 0, 1)->front().actor, "test")
      << "nobody has asked for this move by itself";

  // Units that were given to it by a balancer that did not know yet.
  Give(2);
  Turns();
  EXPECT_EQ(Pool(), 10);
}

TEST_F(BegunNodeAgentTest, DrainingWaitsForItsPatienceAtMost) {
  Give(4);
  idle_ = false;
  AskToDrain();
  clock_.AdvanceBy(options_.drain_patience - absl::Milliseconds(1));
  Turns();
  EXPECT_EQ(Pool(), 6);
  clock_.AdvanceBy(absl::Milliseconds(1));
  Turns();
  EXPECT_EQ(Pool(), 10);
}

TEST_F(BegunNodeAgentTest, DrainingIsTriedAgainUntilTheLedgerTakesTheUnits) {
  Give(4);
  idle_ = false;
  AskToDrain(/*exit=*/true);
  idle_ = true;
  ledger_.FailNext(1);
  agent_.RunOnce();
  EXPECT_EQ(Pool(), 6);
  EXPECT_EQ(exits_, 0);
  Turns();
  EXPECT_EQ(Pool(), 10);
  EXPECT_GE(exits_, 1);
}

TEST_F(BegunNodeAgentTest, TheProcessEndsOnlyWhenItsUnitsAreHandedBack) {
  Give(4);
  idle_ = false;
  AskToDrain(/*exit=*/true);
  EXPECT_EQ(exits_, 0);
  idle_ = true;
  Turns();
  EXPECT_EQ(Pool(), 10);
  EXPECT_GE(exits_, 1);
}

TEST_F(BegunNodeAgentTest, ADrainEndsAsAskedEvenIfTheRequestVanishes) {
  Give(4);
  idle_ = false;
  AskToDrain(/*exit=*/true);
  ASSERT_TRUE(tree().Delete(DrainPath(agent_.incarnation()), kAnyVersion).ok());
  Turns();
  EXPECT_TRUE(draining_);
  idle_ = true;
  Turns();
  EXPECT_GE(exits_, 1);
}

TEST_F(BegunNodeAgentTest, AnUndrainedNodeServesAgain) {
  Give(4);
  AskToDrain();
  ASSERT_EQ(Pool(), 10);
  Undrain();
  EXPECT_FALSE(draining_);
  EXPECT_EQ(drain_calls_, 2);
  Give(3);
  Turns();
  EXPECT_EQ(Free(), 3);
  EXPECT_EQ(Pool(), 7) << "and keeps what it gets";
}

TEST_F(BegunNodeAgentTest, ADrainSurvivesANewIncarnation) {
  AskToDrain();
  const IncarnationId old = agent_.incarnation();
  zookeeper_.ExpireSession(agent_.Session()->SessionId());
  Turns();
  ASSERT_NE(agent_.incarnation(), old);
  EXPECT_TRUE(draining_);
  EXPECT_EQ(drain_calls_, 1) << "it served nobody in between";
  EXPECT_TRUE(other_.Exists(DrainPath(agent_.incarnation())));
  EXPECT_TRUE(ledger_.ListLiveIncarnations()->front().draining);
  Undrain();
  EXPECT_FALSE(draining_);
}

TEST_F(BegunNodeAgentTest, ADrainSurvivesTheTree) {
  ASSERT_TRUE(ledger_.SetDraining(agent_.incarnation(), true, "test").ok());
  AskToDrain(/*exit=*/false);
  other_.DeleteTree();
  Turns();
  EXPECT_TRUE(draining_);
  EXPECT_EQ(drain_calls_, 1);
  EXPECT_TRUE(other_.Exists(DrainPath(agent_.incarnation())));
}

}  // namespace
}  // namespace tranche::quota
