// What the balancer counts, for those who watch it.
#include "quota/balancer/balancer_counts.h"

#include <numeric>

#include "gtest/gtest.h"
#include "tests/unit/quota/balancer_fixture.h"

namespace tranche::quota {
namespace {

class BalancerCountsTest : public BalancerTest {
 protected:
  const BalancerCounts& counts() { return balancer_.counts(); }
  int64_t Rounded(RoundOutcome outcome) { return counts().rounds[static_cast<size_t>(outcome)].value(); }
  int64_t Moves(MoveReason reason) { return counts().moved[static_cast<size_t>(reason)].moves.value(); }
  int64_t Units(MoveReason reason) { return counts().moved[static_cast<size_t>(reason)].units.value(); }
  int64_t Reclaimed(Evidence evidence) {
    return counts().incarnations_reclaimed[static_cast<size_t>(evidence)].value();
  }
  static int64_t Observed(const Histogram& histogram) {
    const HistogramValues values = histogram.values();
    return std::accumulate(values.counts.begin(), values.counts.end(), int64_t{0});
  }
  void Lose(const Node& node) {
    zookeeper_.ExpireSession(node.session->SessionId());
    clock_.AdvanceBy(options_.refresh_interval);
  }
};

TEST_F(BalancerCountsTest, RoundsByWhatCameOfThem) {
  EXPECT_EQ(counts().round_succeeded_at.Get(), absl::InfinitePast());
  Round();
  EXPECT_EQ(counts().round_succeeded_at.Get(), clock_.Now());
  Balancer other(&connector_, &ledger_, &clock_, options_);
  ASSERT_TRUE(other.Connect().ok());
  ASSERT_TRUE(other.RunOnce().ok());
  EXPECT_EQ(other.counts().rounds[static_cast<size_t>(RoundOutcome::kStoodBy)].value(), 1);
  EXPECT_EQ(other.counts().round_succeeded_at.Get(), clock_.Now()) << "standing by is work, too";
  EXPECT_EQ(Observed(other.counts().round_time), 0) << "but nobody asks how long it takes";

  const absl::Time succeeded_at = clock_.Now();
  clock_.AdvanceBy(absl::Seconds(1));
  ledger_.FailNext(1000);
  EXPECT_FALSE(balancer_.RunOnce().ok());
  EXPECT_EQ(counts().round_succeeded_at.Get(), succeeded_at);
  EXPECT_EQ(Rounded(RoundOutcome::kLed), 1);
  EXPECT_EQ(Rounded(RoundOutcome::kStoodBy), 0);
  EXPECT_EQ(Rounded(RoundOutcome::kFailed), 1);
  EXPECT_EQ(Observed(counts().round_time), 2);
}

TEST_F(BalancerCountsTest, MovesByTheirReason) {
  CreateSku(12);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  EXPECT_EQ(Moves(MoveReason::kPool), 1);
  EXPECT_EQ(Units(MoveReason::kPool), 12);
  EXPECT_EQ(Observed(counts().announcement_time), 1);
  const Node c = AddNode();
  Rounds();
  ASSERT_EQ(Left(c.id), 4);
  EXPECT_EQ(Moves(MoveReason::kNewcomer), 1);
  EXPECT_EQ(Units(MoveReason::kNewcomer), 4) << "two of each of the others";
  Buy(a, 4);
  ReportDemand(a, /*wanted=*/1);
  Rounds();
  ASSERT_GT(Left(a.id), 0);
  EXPECT_EQ(Moves(MoveReason::kDemand), 1);
  EXPECT_EQ(Units(MoveReason::kDemand), Left(a.id));
  EXPECT_EQ(Moves(MoveReason::kPool), 1) << "nothing has come into the pool";
  EXPECT_EQ(Observed(counts().announcement_time), 3);
}

TEST_F(BalancerCountsTest, TheUnitsOfANodeThatDoesNotReachTheLedger) {
  CreateSku(10);
  const Node unable = AddNode(), other = AddNode();
  Rounds();
  internal::v1::DemandReport report;
  report.set_cannot_commit(true);
  Report(unable, report);
  Rounds();
  EXPECT_EQ(Moves(MoveReason::kEvacuation), 0);
  clock_.AdvanceBy(options_.cannot_commit_grace);
  Rounds();
  EXPECT_EQ(Moves(MoveReason::kEvacuation), 1);
  EXPECT_EQ(Units(MoveReason::kEvacuation), 5);
  EXPECT_EQ(counts().nodes_live, 2);
  EXPECT_EQ(counts().nodes_receiving, 1);
  EXPECT_EQ(Left(other.id), 10);
}

TEST_F(BalancerCountsTest, NodesAndWhoWasReclaimed) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  EXPECT_EQ(counts().nodes_live, 2);
  EXPECT_EQ(counts().nodes_registered, 2);
  EXPECT_EQ(counts().nodes_receiving, 2);
  EXPECT_EQ(Reclaimed(Evidence::kSession), 0);
  Lose(b);
  Rounds();
  EXPECT_EQ(Reclaimed(Evidence::kSession), 1);
  EXPECT_EQ(Reclaimed(Evidence::kProbe), 0);
  EXPECT_EQ(counts().slices_reclaimed.value(), 1);
  EXPECT_EQ(counts().units_reclaimed.value(), 5);
  EXPECT_EQ(counts().nodes_live, 1);
  EXPECT_EQ(counts().nodes_registered, 1);
  EXPECT_EQ(counts().nodes_gone, 0);
  EXPECT_EQ(Left(a.id), 10);
  EXPECT_EQ(Units(MoveReason::kPool), 15) << "what it held came into the pool";
}

TEST_F(BalancerCountsTest, AGoneNodeThatCannotBeEndedAndItsLockedSku) {
  for (const char* sku_id : {"a", "b"}) CreateSku(10, sku_id);
  const Node dead = AddNode(), alive = AddNode();
  Rounds();
  ledger_.locked = {"b"};
  Lose(dead);
  Round();
  EXPECT_EQ(counts().nodes_gone, 1);
  EXPECT_EQ(counts().skus_put_aside, 1);
  EXPECT_EQ(Moves(MoveReason::kReclaim), 1) << "of the SKU that is not locked";
  EXPECT_EQ(Units(MoveReason::kReclaim), 5);
  EXPECT_EQ(Reclaimed(Evidence::kSession), 0);
  ledger_.locked.clear();
  for (int i = 0; i < 4; ++i) {
    clock_.AdvanceBy(absl::Seconds(1));
    Round();
  }
  EXPECT_EQ(counts().nodes_gone, 0);
  EXPECT_EQ(counts().skus_put_aside, 0);
  EXPECT_EQ(Reclaimed(Evidence::kSession), 1);
}

TEST_F(BalancerCountsTest, AnnouncementsThatTheRepairWrites) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  clock_.AdvanceBy(options_.repair_interval);
  Round();
  const int64_t before = counts().announcements_repaired.value();
  ASSERT_TRUE(operator_.tree().Delete(SlicePath(a.id, "tv"), kAnyVersion).ok());
  ASSERT_TRUE(operator_.tree().Delete(SlicePath(b.id, "tv"), kAnyVersion).ok());
  clock_.AdvanceBy(options_.repair_interval);
  Round();
  EXPECT_EQ(counts().announcements_repaired.value() - before, 2);
  clock_.AdvanceBy(options_.repair_interval);
  Round();
  EXPECT_EQ(counts().announcements_repaired.value() - before, 2) << "what is as it should be is not written";
}

TEST_F(BalancerCountsTest, AMoveThatWasNotAnnounced) {
  CreateSku(10);
  const Node a = AddNode();
  Rounds();
  ASSERT_EQ(Observed(counts().announcement_time), 1);
  ASSERT_TRUE(ledger_.AddStock("tv", 5, std::nullopt, "test").ok());
  zookeeper_.FailNextWrite(FakeZookeeper::UnknownOutcome::kNotPerformed);
  EXPECT_FALSE(balancer_.RunOnce().ok());
  EXPECT_EQ(counts().announcements_failed.value(), 1);
  EXPECT_EQ(Observed(counts().announcement_time), 1);
  EXPECT_EQ(Units(MoveReason::kPool), 15) << "it was made";
}

TEST_F(BalancerCountsTest, WhetherZooKeeperAnswers) {
  EXPECT_TRUE(balancer_.zookeeper_up());
  zookeeper_.SetDown(true);
  EXPECT_FALSE(balancer_.zookeeper_up());
  zookeeper_.SetDown(false);
  EXPECT_TRUE(balancer_.zookeeper_up());
  zookeeper_.ExpireSession(balancer_.Session()->SessionId());
  EXPECT_FALSE(balancer_.zookeeper_up());
  Round();
  EXPECT_TRUE(balancer_.zookeeper_up()) << "with a session of its own again";
  EXPECT_FALSE(balancer_.ProbeStats().has_value());
}

}  // namespace
}  // namespace tranche::quota
