// What the balancer does when it is told that a node's process has ended.
#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "quota/balancer/node_probe.h"
#include "tests/support/logged_lines.h"
#include "tests/unit/quota/balancer_fixture.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;
using storage::kPool;
using Units = std::vector<int64_t>;

// Finds dead whom the test says.
class ToldProbe : public NodeProbe {
 public:
  void Watch(const std::vector<ProbedNode>& nodes, std::function<void()> found_dead) override {
    nodes_ = nodes;
    found_dead_ = std::move(found_dead);
  }
  void WatchNobody() override {
    nodes_.clear();
    found_dead_ = nullptr;
  }
  std::set<IncarnationId> FoundDead() override {
    std::set<IncarnationId> watched;
    for (const ProbedNode& node : nodes_) {
      if (dead_.contains(node.incarnation)) watched.insert(node.incarnation);
    }
    return watched;
  }
  NodeProbeStats Stats() override { return stats; }

  void Find(IncarnationId dead) {
    dead_.insert(dead);
    if (found_dead_ != nullptr) found_dead_();
  }
  void TakeBack(IncarnationId lives) { dead_.erase(lives); }
  const std::vector<ProbedNode>& nodes() const { return nodes_; }

  NodeProbeStats stats;

 private:
  std::vector<ProbedNode> nodes_;
  std::function<void()> found_dead_;
  std::set<IncarnationId> dead_;
};

class BalancerProbeTest : public BalancerTest {
 protected:
  BalancerProbeTest() { EXPECT_TRUE(probing_.Connect().ok()); }

  BalancerOptions WithProbe() {
    BalancerOptions options;
    options.probe = probe_;
    return options;
  }
  // Rounds until there is nothing to do at once.
  void ProbingRounds() {
    for (int rounds = 0; rounds == 0 || (probing_.HasWork() && rounds < 100); ++rounds) {
      const absl::Status status = probing_.RunOnce();
      ASSERT_TRUE(status.ok()) << status;
    }
  }

  int64_t LeftOf(const std::string& sku_id, IncarnationId holder) {
    const storage::QuotaSnapshot quota = *ledger_.ReadQuota(sku_id);
    for (const storage::HeldSlice& slice : quota.slices) {
      if (slice.holder == holder) return slice.remaining;
    }
    return 0;
  }
  static int LinesWith(const testing::LoggedLines& log, const std::string& text) {
    return static_cast<int>(std::count_if(log.lines().begin(), log.lines().end(),
                                          [&](const std::string& line) { return absl::StrContains(line, text); }));
  }

  const std::shared_ptr<ToldProbe> probe_ = std::make_shared<ToldProbe>();
  Balancer probing_{&connector_, &ledger_, &clock_, WithProbe()};
};

TEST_F(BalancerProbeTest, WhatADeadProcessHeldGoesToTheOthersAlthoughItIsStillRegistered) {
  CreateSku(10);
  const Node dead = AddNode(), alive = AddNode();
  ProbingRounds();
  EXPECT_EQ((Units{Left(dead.id), Left(alive.id)}), (Units{5, 5}));
  EXPECT_FALSE(probing_.HasWork());
  probe_->Find(dead.id);
  EXPECT_TRUE(probing_.HasWork()) << "it does not wait for the next round";
  ProbingRounds();
  EXPECT_EQ((Units{Left(dead.id), Left(alive.id), Left(kPool)}), (Units{0, 10, 0}));
  EXPECT_FALSE(IsLive(dead.id));
  for (const std::string& path : {NodePath(dead.id), SlicesPath(dead.id)}) EXPECT_FALSE(Exists(path)) << path;
  ExpectAnnounced(alive);
  EXPECT_EQ(probing_.counts().incarnations_reclaimed[static_cast<size_t>(Evidence::kProbe)].value(), 1);
  ASSERT_EQ(probe_->nodes().size(), 1u);
  EXPECT_EQ(probe_->nodes().front().incarnation, alive.id);
  // It lived, and begins anew.
  const Node again = AddNode();
  ProbingRounds();
  EXPECT_EQ((Units{Left(alive.id), Left(again.id)}), (Units{5, 5}));
}

TEST_F(BalancerProbeTest, NodesAreWatchedAtTheAddressThatTheLedgerHas) {
  const Node node = AddNode();
  const IncarnationId starting = *ledger_.RegisterIncarnation("starting", "host:2");
  internal::v1::NodeRegistration lie;
  lie.set_address("elsewhere:1");
  ASSERT_TRUE(operator_.tree().Set(NodePath(node.id), lie.SerializeAsString(), kAnyVersion).ok());
  ProbingRounds();
  ASSERT_EQ(probe_->nodes().size(), 1u) << starting << " may not listen yet";
  EXPECT_EQ(probe_->nodes().front().incarnation, node.id);
  EXPECT_EQ(probe_->nodes().front().address, "host:1");
}

// Its units are in the pool when a node comes.
TEST_F(BalancerProbeTest, TheLastNodeIsTakenForDeadToo) {
  CreateSku(10);
  const Node dead = AddNode();
  ProbingRounds();
  probe_->Find(dead.id);
  ProbingRounds();
  EXPECT_FALSE(IsLive(dead.id));
  EXPECT_EQ(Left(kPool), 10);
  const Node next = AddNode();
  ProbingRounds();
  EXPECT_EQ(Left(next.id), 10);
}

TEST_F(BalancerProbeTest, ADeletedTreeSparesTheMissingButNotTheDead) {
  CreateSku(10);
  const Node dead = AddNode(), alive = AddNode();
  ProbingRounds();
  operator_.DeleteTree();
  ProbingRounds();
  probe_->Find(dead.id);
  ProbingRounds();
  EXPECT_FALSE(IsLive(dead.id));
  EXPECT_TRUE(IsLive(alive.id));
  Register(alive);
  ProbingRounds();
  EXPECT_EQ(Left(alive.id), 10);
}

TEST_F(BalancerProbeTest, ADeadNodeThatCannotBeEndedYetReceivesNothing) {
  for (const char* sku_id : {"a", "tv"}) CreateSku(10, sku_id);
  const Node dead = AddNode(), alive = AddNode();
  ProbingRounds();
  ledger_.locked = {"a"};
  probe_->Find(dead.id);
  ProbingRounds();
  EXPECT_TRUE(IsLive(dead.id));
  EXPECT_EQ((Units{Left(dead.id), Left(alive.id)}), (Units{0, 10}));
  clock_.AdvanceBy(options_.refresh_interval);
  ASSERT_TRUE(ledger_.AddStock("tv", 5, std::nullopt, "test").ok());
  ProbingRounds();
  EXPECT_EQ((Units{Left(dead.id), Left(alive.id)}), (Units{0, 15})) << "it is registered, but dead";
  ledger_.locked.clear();
  clock_.AdvanceBy(absl::Seconds(2));
  ProbingRounds();
  EXPECT_FALSE(IsLive(dead.id));
}

// It may live: its frozen units would be in the pool until a person moves them.
TEST_F(BalancerProbeTest, WhoHoldsUnitsOfAFrozenSkuIsEndedWithItsSession) {
  for (const char* sku_id : {"ice", "tv"}) CreateSku(10, sku_id);
  const Node dead = AddNode(), alive = AddNode();
  ProbingRounds();
  ASSERT_TRUE(ledger_.SetQuotaFrozen("ice", true, "test").ok());
  testing::LoggedLines log;
  probe_->Find(dead.id);
  ProbingRounds();
  EXPECT_TRUE(IsLive(dead.id));
  EXPECT_EQ((Units{Left(dead.id), Left(alive.id)}), (Units{0, 10}));
  EXPECT_EQ((Units{LeftOf("ice", dead.id), LeftOf("ice", kPool)}), (Units{5, 0}));
  clock_.AdvanceBy(options_.refresh_interval);
  ASSERT_TRUE(ledger_.AddStock("tv", 5, std::nullopt, "test").ok());
  ProbingRounds();
  EXPECT_EQ((Units{Left(dead.id), Left(alive.id)}), (Units{0, 15})) << "it gets nothing new";
  // If it lives after all, it takes from the pools, and keeps that.
  ASSERT_TRUE(ledger_.SetQuotaFrozen("tv", true, "test").ok());
  ASSERT_TRUE(ledger_.AddStock("tv", 6, std::nullopt, "test").ok());
  ASSERT_TRUE(ledger_.MoveUnits("tv", {storage::QuotaDelta{dead.id, 6}}, std::nullopt, "").ok());
  ASSERT_TRUE(ledger_.SetQuotaFrozen("tv", false, "test").ok());
  clock_.AdvanceBy(absl::Seconds(2));
  ProbingRounds();
  EXPECT_EQ((Units{Left(dead.id), Left(alive.id)}), (Units{6, 15}));
  EXPECT_EQ(LinesWith(log, "cannot be ended yet: nothing listens there any more, but it holds units of ice"), 1);
  zookeeper_.ExpireSession(dead.session->SessionId());
  clock_.AdvanceBy(absl::Seconds(2));
  ProbingRounds();
  EXPECT_FALSE(IsLive(dead.id));
  EXPECT_EQ(LeftOf("ice", kPool), 5);
  EXPECT_EQ(LinesWith(log, "has gone: it has no registration"), 1);
}

TEST_F(BalancerProbeTest, WhoHeldUnitsOfAFrozenSkuIsEndedAfterAThaw) {
  CreateSku(10);
  const Node dead = AddNode(), alive = AddNode();
  ProbingRounds();
  ASSERT_TRUE(ledger_.SetQuotaFrozen("tv", true, "test").ok());
  probe_->Find(dead.id);
  ProbingRounds();
  EXPECT_EQ((Units{Left(dead.id), Left(alive.id)}), (Units{5, 5}));
  ASSERT_TRUE(ledger_.SetQuotaFrozen("tv", false, "test").ok());
  clock_.AdvanceBy(absl::Seconds(2));
  ProbingRounds();
  EXPECT_FALSE(IsLive(dead.id));
  EXPECT_EQ(Left(alive.id), 10);
}

// That was said because its session outlived it.
TEST_F(BalancerProbeTest, WhoIsNotDeadAfterAllReceivesAgain) {
  for (const char* sku_id : {"ice", "tv"}) CreateSku(10, sku_id);
  const Node suspect = AddNode(), other = AddNode();
  ProbingRounds();
  ASSERT_TRUE(ledger_.SetQuotaFrozen("ice", true, "test").ok());
  probe_->Find(suspect.id);
  ProbingRounds();
  EXPECT_EQ((Units{Left(suspect.id), Left(other.id)}), (Units{0, 10}));
  probe_->TakeBack(suspect.id);
  clock_.AdvanceBy(options_.refresh_interval);
  ProbingRounds();
  EXPECT_EQ((Units{Left(suspect.id), Left(other.id)}), (Units{5, 5}));
}

TEST_F(BalancerProbeTest, WhomTheProbeDoesNotReachIsToldOnceAMinute) {
  const Node node = AddNode();
  probe_->stats.watched = 3;
  probe_->stats.unreached = 2;
  probe_->stats.example = {{node.id, "host:1", "node-1"}, "No route to host"};
  testing::LoggedLines log;
  for (int i = 0; i < 61; ++i) {
    ProbingRounds();
    clock_.AdvanceBy(absl::Seconds(1));
  }
  EXPECT_EQ(LinesWith(log, "2 of 3 nodes were not reached for a minute, e.g. node-1 at host:1: No route to host"), 2);
  probe_->stats.unreached = 0;
  for (int i = 0; i < 61; ++i) {
    ProbingRounds();
    clock_.AdvanceBy(absl::Seconds(1));
  }
  EXPECT_EQ(LinesWith(log, "were not reached"), 2);
}

TEST_F(BalancerProbeTest, TheLeaderOfAnotherShardSaysSo) {
  BalancerOptions options;
  options.shard = "s2";
  Balancer of_shard(&connector_, &ledger_, &clock_, options);
  ASSERT_TRUE(of_shard.Connect().ok());
  const Node gone = AddNode(), stays = AddNode();
  ASSERT_TRUE(of_shard.RunOnce().ok());
  zookeeper_.ExpireSession(gone.session->SessionId());
  testing::LoggedLines log;
  for (int i = 0; i < 3; ++i) {
    clock_.AdvanceBy(options_.refresh_interval);
    ASSERT_TRUE(of_shard.RunOnce().ok());
  }
  EXPECT_FALSE(IsLive(gone.id));
  EXPECT_TRUE(IsLive(stays.id));
  EXPECT_EQ(LinesWith(log, "has gone from shard s2: it has no registration"), 1);
}

TEST_F(BalancerProbeTest, WhoLeadsNoMoreWatchesNobody) {
  const Node node = AddNode();
  ProbingRounds();
  EXPECT_EQ(probe_->nodes().size(), 1u);
  ledger_.FailNext(1000);
  clock_.AdvanceBy(options_.refresh_interval);
  EXPECT_FALSE(probing_.RunOnce().ok());
  EXPECT_EQ(probe_->nodes().size(), 1u) << "it leads on";
  clock_.AdvanceBy(options_.resign_after);
  EXPECT_FALSE(probing_.RunOnce().ok());
  ASSERT_FALSE(probing_.leading());
  EXPECT_FALSE(probing_.RunOnce().ok());
  EXPECT_TRUE(probe_->nodes().empty());
  ledger_.FailNext(0);
  ProbingRounds();
  EXPECT_EQ(probe_->nodes().size(), 1u);
  probing_.Stop();
  EXPECT_TRUE(probe_->nodes().empty());
}

TEST_F(BalancerProbeTest, ABalancerThatOnlyStandsByWatchesNobody) {
  const Node node = AddNode();
  Rounds();
  ASSERT_TRUE(balancer_.leading());
  ProbingRounds();
  EXPECT_TRUE(probe_->nodes().empty());
}

}  // namespace
}  // namespace tranche::quota
