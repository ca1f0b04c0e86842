// What the balancer does when something was lost or does not answer.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/unit/quota/balancer_fixture.h"

namespace tranche::quota {
namespace {

using internal::v1::SliceAnnouncement;
using storage::IncarnationId;
using storage::kPool;
using Units = std::vector<int64_t>;

class BalancerFaultTest : public BalancerTest {
 protected:
  void ReportLedger(const Node& node, bool cannot_commit) {
    internal::v1::DemandReport report;
    report.set_cannot_commit(cannot_commit);
    Report(node, report);
  }
  // The next rounds, on any balancer, do not reach the ledger.
  void CutOffLedger() { ledger_.FailNext(1000); }
  void ConnectLedger() { ledger_.FailNext(0); }
  int64_t UnitsAt(IncarnationId holder, const std::string& sku_id) {
    const storage::QuotaSnapshot quota = *ledger_.ReadQuota(sku_id);
    for (const storage::HeldSlice& slice : quota.slices) {
      if (slice.holder == holder) return slice.remaining;
    }
    return 0;
  }
};

TEST_F(BalancerFaultTest, OldAndMissingAnnouncementsAreRepaired) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  SliceAnnouncement old;
  old.set_allotted(99);
  old.set_version(Held(a.id).version - 1);
  ASSERT_TRUE(operator_.tree().Set(SlicePath(a.id, "tv"), old.SerializeAsString(), kAnyVersion).ok());
  ASSERT_TRUE(operator_.tree().Delete(SlicePath(b.id, "tv"), kAnyVersion).ok());
  const int64_t version = QuotaVersion();

  clock_.AdvanceBy(options_.repair_interval - absl::Seconds(1));
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_FALSE(Exists(SlicePath(b.id, "tv"))) << "a repair reads everything: not in every round";
  clock_.AdvanceBy(absl::Seconds(1));
  ASSERT_TRUE(balancer_.RunOnce().ok());
  for (const Node* node : {&a, &b}) ExpectAnnounced(*node);
  EXPECT_EQ(QuotaVersion(), version);
}

TEST_F(BalancerFaultTest, AnOpenTreeIsProtectedBesideTheWork) {
  zookeeper_.SetOpenParts(3);
  CreateSku(10);
  const Node a = AddNode();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_EQ(zookeeper_.open_parts(), 2) << "a part in each round";
  EXPECT_EQ(Left(a.id), 10);
  CutOffLedger();
  balancer_.RunOnce().IgnoreError();
  EXPECT_EQ(zookeeper_.open_parts(), 1);
  ConnectLedger();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_EQ(zookeeper_.open_parts(), 0);

  // Somebody deletes the tree, and makes it again, open to everybody.
  operator_.DeleteTree();
  zookeeper_.SetOpenParts(1);
  Rounds();
  EXPECT_EQ(zookeeper_.open_parts(), 0);
}

TEST_F(BalancerFaultTest, ANodeThatIsKeptFromTheBalancerStopsNoOther) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  const int64_t held = Left(b.id);
  zookeeper_.KeepFromAll(NodePath(b.id));
  ASSERT_TRUE(ledger_.AddStock("tv", 6, std::nullopt, "test").ok());
  clock_.AdvanceBy(options_.refresh_interval);
  Rounds();
  EXPECT_EQ(Left(b.id), held);
  EXPECT_EQ(Left(a.id) + held, 16);
  EXPECT_TRUE(IsLive(b.id)) << "it may well be a node";
}

TEST_F(BalancerFaultTest, TheTreeIsProtectedByHomesBalancer) {
  BalancerOptions options;
  options.shard = "s1";
  Balancer other(&connector_, &ledger_, &clock_, options);
  ASSERT_TRUE(other.Connect().ok());
  zookeeper_.SetOpenParts(1);
  ASSERT_TRUE(other.RunOnce().ok());
  EXPECT_TRUE(other.leading());
  EXPECT_EQ(zookeeper_.open_parts(), 1);
}

TEST_F(BalancerFaultTest, AMoveWhoseAnnouncementWasLostIsRepaired) {
  CreateSku(10);
  const Node a = AddNode();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  ASSERT_TRUE(ledger_.AddStock("tv", 5, std::nullopt, "test").ok());
  zookeeper_.FailNextWrite(FakeZookeeper::UnknownOutcome::kNotPerformed);
  EXPECT_FALSE(balancer_.RunOnce().ok());
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_EQ(Left(a.id), 15);
  ExpectAnnounced(a);

  // A move by a balancer that crashed before it announced.
  ASSERT_TRUE(ledger_.MoveUnits("tv", {storage::QuotaDelta{a.id, -5}}, std::nullopt, "test").ok());
  ASSERT_TRUE(ledger_.SetQuotaFrozen("tv", true, "test").ok());
  clock_.AdvanceBy(options_.repair_interval);
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_EQ(Left(a.id), 10);
  ExpectAnnounced(a);
}

TEST_F(BalancerFaultTest, ALockedSkuHoldsUpNoOtherInTheBatch) {
  CreateSku(10);
  for (const char* sku_id : {"a", "b", "z"}) CreateSku(10, sku_id);
  const Node node = AddNode();
  ledger_.locked = {"b"};
  Round();
  for (const char* sku_id : {"a", "tv", "z"}) EXPECT_EQ(UnitsAt(node.id, sku_id), 10) << sku_id;
  EXPECT_EQ(UnitsAt(node.id, "b"), 0);
  EXPECT_EQ(ledger_.waited_in_vain, 2) << "the batch, and b by itself";
  for (int i = 0; i < 9; ++i) {
    clock_.AdvanceBy(options_.poll_interval);
    ASSERT_TRUE(ledger_.AddStock("z", 1, std::nullopt, "test").ok());
    Round();
    EXPECT_EQ(UnitsAt(node.id, "z"), 11 + i);
  }
  EXPECT_EQ(ledger_.waited_in_vain, 2) << "it is put aside";
  clock_.AdvanceBy(options_.poll_interval);
  Round();
  EXPECT_EQ(ledger_.waited_in_vain, 3) << "and tried now and then";
  ledger_.locked.clear();
  clock_.AdvanceBy(absl::Seconds(1));
  Round();
  EXPECT_EQ(UnitsAt(node.id, "b"), 10);
}

TEST_F(BalancerFaultTest, ManyLockedSkusKeepARoundForABoundedTime) {
  for (int i = 0; i < 40; ++i) {
    CreateSku(10, absl::StrCat("s", 10 + i));
    ledger_.locked.insert(absl::StrCat("s", 10 + i));
  }
  const Node node = AddNode();
  Round();
  EXPECT_LE(ledger_.waited_in_vain, 5);
  ledger_.locked = {"s10"};
  for (int i = 0; i < 12; ++i) {
    clock_.AdvanceBy(options_.poll_interval);
    Round();
  }
  for (int i = 1; i < 40; ++i) EXPECT_EQ(UnitsAt(node.id, absl::StrCat("s", 10 + i)), 10) << i;
}

TEST_F(BalancerFaultTest, WhatADeadNodeHeldGoesToTheOthersExceptOfALockedSku) {
  for (const char* sku_id : {"a", "b"}) CreateSku(10, sku_id);
  Node dead = AddNode();
  Round();
  const Node alive = AddNode();
  Rounds();
  EXPECT_EQ(UnitsAt(alive.id, "a"), 5);
  ledger_.locked = {"b"};
  dead.session.reset();
  clock_.AdvanceBy(options_.refresh_interval);
  for (int i = 0; i < 3; ++i) {
    Round();
    clock_.AdvanceBy(options_.poll_interval);
  }
  EXPECT_EQ(UnitsAt(alive.id, "a"), 10);
  EXPECT_EQ(UnitsAt(alive.id, "b"), 5);
  EXPECT_TRUE(IsLive(dead.id));
  ledger_.locked.clear();
  clock_.AdvanceBy(absl::Seconds(2));
  for (int i = 0; i < 3; ++i) {
    Round();
    clock_.AdvanceBy(absl::Seconds(1));
  }
  EXPECT_EQ(UnitsAt(alive.id, "b"), 10);
  EXPECT_FALSE(IsLive(dead.id));
}

TEST_F(BalancerFaultTest, LeftoversOfEndedIncarnationsAreRemoved) {
  CreateSku(10);
  const IncarnationId ended = *ledger_.RegisterIncarnation("gone", "host:2");
  ASSERT_TRUE(ledger_.ReclaimIncarnation(ended).ok());
  const Node b = AddNode();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  ASSERT_TRUE(operator_.tree().Create(SlicesPath(ended), "", CreateMode::kPersistent).ok());
  ASSERT_TRUE(operator_.tree().Create(SlicePath(ended, "tv"), "", CreateMode::kPersistent).ok());
  ASSERT_TRUE(operator_.tree().Create(DrainPath(ended), "", CreateMode::kPersistent).ok());
  clock_.AdvanceBy(options_.repair_interval);
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_FALSE(Exists(SlicePath(ended, "tv")));
  EXPECT_FALSE(Exists(SlicesPath(ended)));
  EXPECT_FALSE(Exists(DrainPath(ended)));
  EXPECT_TRUE(Exists(SlicesPath(b.id)));
  ExpectAnnounced(b);
}

TEST_F(BalancerFaultTest, AnIncarnationThatNeverRegisteredIsReclaimedOnlyAfterItsGrace) {
  CreateSku(10);
  const Node a = AddNode();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  const IncarnationId starting = *ledger_.RegisterIncarnation("starting", "host:2");
  ASSERT_TRUE(
      ledger_.MoveUnits("tv", {storage::QuotaDelta{a.id, -4}, storage::QuotaDelta{starting, 4}}, std::nullopt, "test")
          .ok());
  clock_.AdvanceBy(options_.refresh_interval);
  ASSERT_TRUE(balancer_.RunOnce().ok());
  clock_.AdvanceBy(options_.unregistered_grace - options_.refresh_interval - absl::Seconds(1));
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_TRUE(IsLive(starting));
  EXPECT_EQ((Units{Left(a.id), Left(starting)}), (Units{6, 4}));
  clock_.AdvanceBy(absl::Seconds(1));
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_FALSE(IsLive(starting));
  EXPECT_EQ((Units{Left(a.id), Left(starting), Left(kPool)}), (Units{10, 0, 0}));
}

// A balancer with the wrong --zookeeper-root looks at a tree without nodes; those of the ledger are alive elsewhere.
TEST_F(BalancerFaultTest, WithoutAnyRegisteredNodeNothingIsTakenBack) {
  CreateSku(10);
  const IncarnationId elsewhere = *ledger_.RegisterIncarnation("elsewhere", "host:2");
  ASSERT_TRUE(ledger_.MoveUnits("tv", {storage::QuotaDelta{elsewhere, 10}}, std::nullopt, "test").ok());
  for (int i = 0; i < 3; ++i) {
    clock_.AdvanceBy(options_.unregistered_grace);
    ASSERT_TRUE(balancer_.RunOnce().ok());
    EXPECT_TRUE(IsLive(elsewhere));
  }
  const Node a = AddNode();
  clock_.AdvanceBy(options_.refresh_interval);
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_FALSE(IsLive(elsewhere));
  clock_.AdvanceBy(options_.refresh_interval);
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_EQ(Left(a.id), 10);
}

// One host held both: the next leader has never seen that node.
TEST_F(BalancerFaultTest, WhoDiedWithTheLeaderIsReclaimedByTheNextAtOnce) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  clock_.AdvanceBy(options_.unregistered_grace);
  zookeeper_.ExpireSession(a.session->SessionId());
  zookeeper_.ExpireSession(balancer_.Session()->SessionId());
  Balancer next(&connector_, &ledger_, &clock_, options_);
  ASSERT_TRUE(next.Connect().ok());
  ASSERT_TRUE(next.RunOnce().ok());
  EXPECT_FALSE(IsLive(a.id));
  EXPECT_TRUE(IsLive(b.id));
  EXPECT_EQ(Left(b.id), 10);
}

// An operator's call changes the ledger and dies before it has told the node.
TEST_F(BalancerFaultTest, ADrainAndItsEndThatWereNotToldAreRepaired) {
  const Node a = AddNode();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  for (const bool draining : {true, false}) {
    ASSERT_TRUE(ledger_.SetDraining(a.id, draining, "test").ok());
    clock_.AdvanceBy(options_.repair_interval);
    ASSERT_TRUE(balancer_.RunOnce().ok());
    EXPECT_EQ(Exists(DrainPath(a.id)), draining);
  }
}

TEST_F(BalancerFaultTest, LostEventsAreMadeGoodByTheRefresh) {
  CreateSku(10);
  const Node a = AddNode();
  Rounds();
  zookeeper_.DropNextWatchEvents(1000);
  const Node b = AddNode();
  ReportDemand(b, /*wanted=*/1);
  Rounds();
  EXPECT_EQ(Left(b.id), 0);
  clock_.AdvanceBy(options_.refresh_interval);
  Rounds();
  EXPECT_GE(Left(b.id), 1);
}

TEST_F(BalancerFaultTest, ANodeThatCannotCommitIsEvacuatedAfterItsGraceAndWelcomedBack) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  ReportLedger(a, /*cannot_commit=*/true);
  Rounds();
  clock_.AdvanceBy(options_.cannot_commit_grace - absl::Milliseconds(1));
  Rounds();
  EXPECT_EQ((Units{Left(a.id), Left(b.id)}), (Units{5, 5}));
  clock_.AdvanceBy(absl::Milliseconds(1));
  Rounds();
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(kPool)}), (Units{0, 10, 0}));
  ExpectAnnounced(a);
  ASSERT_TRUE(ledger_.AddStock("tv", 2, std::nullopt, "test").ok());
  Rounds();
  EXPECT_EQ(Left(a.id), 0) << "it gets nothing meanwhile";
  EXPECT_TRUE(IsLive(a.id));
  ReportLedger(a, /*cannot_commit=*/false);
  Rounds();
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(kPool)}), (Units{6, 6, 0}));
}

// Else "most nodes cannot reach the ledger" would be said by nobody, and keep a node's units from the others.
TEST_F(BalancerFaultTest, ReportsOfNodesThatDoNotExistOutvoteNobody) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  internal::v1::DemandReport report;
  report.set_cannot_commit(true);
  for (IncarnationId none = b.id + 1; none < b.id + 4; ++none) {
    ASSERT_TRUE(operator_.tree().Create(DemandPath(none), report.SerializeAsString(), CreateMode::kPersistent).ok());
  }
  ReportLedger(a, /*cannot_commit=*/true);
  Rounds();
  clock_.AdvanceBy(options_.cannot_commit_grace);
  Rounds();
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(kPool)}), (Units{0, 10, 0}));
}

TEST_F(BalancerFaultTest, AMomentWithoutTheLedgerCostsANodeNothing) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  for (int i = 0; i < 3; ++i) {
    ReportLedger(a, /*cannot_commit=*/true);
    Rounds();
    clock_.AdvanceBy(options_.cannot_commit_grace / 2);
    Rounds();
    ReportLedger(a, /*cannot_commit=*/false);
    Rounds();
  }
  EXPECT_EQ((Units{Left(a.id), Left(b.id)}), (Units{5, 5}));
}

TEST_F(BalancerFaultTest, WhenTheLedgerIsAwayForAllNobodyIsUnableAlone) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  ReportLedger(a, /*cannot_commit=*/true);
  Rounds();
  clock_.AdvanceBy(options_.cannot_commit_grace);
  CutOffLedger();
  EXPECT_FALSE(balancer_.RunOnce().ok());
  ConnectLedger();
  Rounds();
  EXPECT_EQ((Units{Left(a.id), Left(b.id)}), (Units{5, 5})) << "its grace begins when the ledger is back";
  clock_.AdvanceBy(options_.cannot_commit_grace);
  Rounds();
  EXPECT_EQ((Units{Left(a.id), Left(b.id)}), (Units{0, 10}));
}

// Each try to connect to a host that is out of reach takes two seconds, in which no other balancer can lead.
TEST_F(BalancerFaultTest, ALedgerThatWasNotReachedIsNotAskedAgainInTheSameRound) {
  AddNode();
  Rounds();
  ASSERT_TRUE(balancer_.leading());
  ledger_.FailNext(1);
  clock_.AdvanceBy(options_.refresh_interval);
  EXPECT_FALSE(balancer_.RunOnce().ok());
  ledger_.FailNext(1);
  clock_.AdvanceBy(options_.resign_after);
  EXPECT_FALSE(balancer_.RunOnce().ok());
  EXPECT_FALSE(balancer_.leading()) << "a second call would have found it";
}

TEST_F(BalancerFaultTest, ARoundEndsWhereTheLedgerIsNotReached) {
  AddNode();
  Rounds();
  ledger_.FailNext(2);
  EXPECT_FALSE(balancer_.RunOnce().ok());
  EXPECT_FALSE(balancer_.RunOnce().ok()) << "another step of the first round had tried to connect, too";
  EXPECT_TRUE(balancer_.RunOnce().ok());
}

TEST_F(BalancerFaultTest, ALeaderThatDoesNotReachTheLedgerMakesRoomForAnother) {
  const Node a = AddNode();
  Rounds();
  Balancer other(&connector_, &ledger_, &clock_, options_);
  ASSERT_TRUE(other.Connect().ok());
  ASSERT_TRUE(other.RunOnce().ok());
  ASSERT_TRUE(balancer_.leading() && !other.leading());

  CutOffLedger();
  clock_.AdvanceBy(options_.refresh_interval);
  EXPECT_FALSE(balancer_.RunOnce().ok());
  clock_.AdvanceBy(options_.resign_after - absl::Milliseconds(1));
  EXPECT_FALSE(balancer_.RunOnce().ok());
  EXPECT_TRUE(balancer_.leading()) << "a moment is no reason";
  clock_.AdvanceBy(absl::Milliseconds(1));
  EXPECT_FALSE(balancer_.RunOnce().ok());
  EXPECT_FALSE(balancer_.leading());
  EXPECT_FALSE(balancer_.RunOnce().ok());
  EXPECT_FALSE(Exists(LeaderPath())) << "it does not stand again";

  ConnectLedger();
  ASSERT_TRUE(other.RunOnce().ok());
  EXPECT_TRUE(other.leading());
  CreateSku(10);
  ASSERT_TRUE(other.RunOnce().ok());
  EXPECT_EQ(Left(a.id), 10);
  Rounds();
  EXPECT_FALSE(balancer_.leading()) << "back, as one of those who wait";
  zookeeper_.ExpireSession(other.Session()->SessionId());
  Rounds();
  EXPECT_TRUE(balancer_.leading());
}

TEST_F(BalancerFaultTest, ADeletedTreeIsRestoredAndNobodyIsTakenForDead) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  const int64_t version = QuotaVersion();
  operator_.DeleteTree();
  Rounds();
  for (const char* path : kFixedPaths) EXPECT_TRUE(Exists(path)) << path;
  EXPECT_TRUE(balancer_.leading());
  EXPECT_TRUE(Exists(LeaderPath()));
  clock_.AdvanceBy(options_.restore_grace - absl::Milliseconds(1));
  Rounds();
  EXPECT_TRUE(IsLive(a.id) && IsLive(b.id));
  // One comes back, as the agent does, and hears at once what it holds.
  Register(a);
  Rounds();
  ExpectAnnounced(a);
  EXPECT_EQ(AnnouncedSku().unsold(), 10);
  EXPECT_EQ(QuotaVersion(), version) << "nothing was moved for that";
  // The other one is really dead.
  clock_.AdvanceBy(absl::Milliseconds(1));
  Rounds();
  EXPECT_FALSE(IsLive(b.id));
  Rounds();
  EXPECT_EQ((Units{Left(a.id), Left(kPool)}), (Units{10, 0}));
}

TEST_F(BalancerFaultTest, WhoRegistersAgainIsNoNewcomer) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  ASSERT_TRUE(ledger_.MoveUnits("tv", {{a.id, -3}, {b.id, 3}}, std::nullopt, "test").ok());
  operator_.DeleteTree();
  Rounds();
  for (const Node* node : {&b, &a}) {
    Register(*node);
    Rounds();
  }
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(kPool)}), (Units{2, 8, 0})) << "nobody is reshuffled for that";
  for (const Node* node : {&a, &b}) ExpectAnnounced(*node);
}

TEST_F(BalancerFaultTest, EveryFixedFolderThatIsMissingIsMadeAgain) {
  CreateSku(10);
  const Node a = AddNode();
  Rounds();
  for (const char* path : {kSkusPath, kDemandPath, kDrainPath, kBalancerPath}) {
    operator_.DeleteAll(path);
    clock_.AdvanceBy(options_.repair_interval);
    Rounds();
    EXPECT_TRUE(Exists(path)) << path;
    EXPECT_TRUE(balancer_.leading());
    EXPECT_EQ(AnnouncedSku().unsold(), 10);
    EXPECT_EQ(Left(a.id), 10);
  }
}

TEST_F(BalancerFaultTest, HoweverManyCallsOfTheLedgerFailTheDeadAreReclaimed) {
  CreateSku(10);
  const Node survivor = AddNode();
  Rounds();
  for (int failures = 1; failures <= 12; ++failures) {
    const Node dead = AddNode();
    Rounds();
    zookeeper_.ExpireSession(dead.session->SessionId());
    ledger_.FailNext(failures);
    int rounds = 0;
    while (!balancer_.RunOnce().ok() && rounds < 20) ++rounds;
    EXPECT_GE(rounds, 1);
    Rounds();
    EXPECT_FALSE(IsLive(dead.id));
    EXPECT_EQ((Units{Left(survivor.id), Left(kPool)}), (Units{10, 0}));
  }
}

TEST_F(BalancerFaultTest, ADisconnectedLeaderMovesNothingAndGoesOnAfterwards) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  Buy(a, 5);
  ReportDemand(a, /*wanted=*/1);
  zookeeper_.Disconnect(balancer_.Session()->SessionId());
  EXPECT_FALSE(balancer_.RunOnce().ok());
  EXPECT_EQ(Left(a.id), 0);
  zookeeper_.Reconnect(balancer_.Session()->SessionId());
  Rounds();
  EXPECT_GE(Left(a.id), 1);
  ExpectAnnounced(a);
}

}  // namespace
}  // namespace tranche::quota
