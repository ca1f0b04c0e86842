#include "quota/balancer/balancer.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/unit/quota/balancer_fixture.h"

namespace tranche::quota {
namespace {

using internal::v1::SliceAnnouncement;
using storage::IncarnationId;
using storage::kPool;
using Units = std::vector<int64_t>;

TEST_F(BalancerTest, ANewSkuIsSplitEquallyAndAnnouncedWithTheLedgersVersion) {
  const Node a = AddNode(), b = AddNode(), c = AddNode();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  CreateSku(11);
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(c.id), Left(kPool)}), (Units{4, 4, 3, 0}));
  for (const Node* node : {&a, &b, &c}) ExpectAnnounced(*node);
  EXPECT_EQ(AnnouncedSku().version(), QuotaVersion());
  EXPECT_EQ(AnnouncedSku().unsold(), 11);
  EXPECT_TRUE(ledger_.Verify("")->violations.empty());
}

TEST_F(BalancerTest, ANodeThatJoinsGetsItsShareInMidSale) {
  CreateSku(12);
  const Node a = AddNode(), b = AddNode();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_EQ((Units{Left(a.id), Left(b.id)}), (Units{6, 6}));
  Buy(a, 3);
  const Node c = AddNode();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(c.id), Left(kPool)}), (Units{3, 3, 3, 0}));
  for (const Node* node : {&a, &b, &c}) ExpectAnnounced(*node);
  EXPECT_TRUE(ledger_.Verify("")->violations.empty());
}

TEST_F(BalancerTest, AConsumerOfQueuesGetsNoShareBeforeItAsks) {
  const Node consumer = AddConsumer();
  CreateSku(12);
  Rounds();
  EXPECT_EQ((Units{Left(consumer.id), Left(kPool)}), (Units{0, 12})) << "they wait in the pool";
  const Node a = AddNode(), b = AddNode();
  Rounds();
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(consumer.id), Left(kPool)}), (Units{6, 6, 0, 0}));
  const Node late = AddConsumer();
  ASSERT_TRUE(ledger_.AddStock("tv", 4, std::nullopt, "test").ok());
  Rounds();
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(consumer.id), Left(late.id)}), (Units{8, 8, 0, 0}));
}

TEST_F(BalancerTest, WhatADeadConsumerHeldGoesToTheNodes) {
  CreateSku(12);
  const Node a = AddNode(), consumer = AddConsumer();
  ASSERT_TRUE(ledger_.MoveUnits("tv", {{consumer.id, 5}}, std::nullopt, "test").ok());
  Rounds();
  EXPECT_EQ((Units{Left(a.id), Left(consumer.id)}), (Units{7, 5})) << "what it has, it keeps";
  zookeeper_.ExpireSession(consumer.session->SessionId());
  Rounds();
  EXPECT_FALSE(IsLive(consumer.id));
  EXPECT_EQ((Units{Left(a.id), Left(consumer.id)}), (Units{12, 0}));
}

TEST_F(BalancerTest, WhatADeadNodeHeldIsSharedAmongTheOthers) {
  CreateSku(12);
  const Node a = AddNode(), b = AddNode(), c = AddNode();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  ASSERT_EQ(Left(a.id), 4);
  zookeeper_.ExpireSession(a.session->SessionId());
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_FALSE(IsLive(a.id));
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(c.id), Left(kPool)}), (Units{0, 6, 6, 0}));
  EXPECT_FALSE(Exists(SlicesPath(a.id)));
  for (const Node* node : {&b, &c}) ExpectAnnounced(*node);
}

TEST_F(BalancerTest, ARegisteredNodeThatTheLedgerHasEndedGetsNothingAndNothingChurns) {
  CreateSku(10);
  // The ended one has the higher number, so that none of its remains is removed meanwhile.
  const Node a = AddNode(), b = AddNode();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  ASSERT_TRUE(ledger_.ReclaimIncarnation(b.id).ok());
  clock_.AdvanceBy(options_.refresh_interval);  // nothing in the tree changes
  ASSERT_TRUE(balancer_.RunOnce().ok());
  ASSERT_TRUE(Exists(NodePath(b.id)));
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(kPool)}), (Units{10, 0, 0}));
  const int64_t version = QuotaVersion();
  for (int round = 0; round < 5; ++round) {
    clock_.AdvanceBy(options_.repair_interval);
    ASSERT_TRUE(balancer_.RunOnce().ok());
  }
  EXPECT_EQ(QuotaVersion(), version);
  EXPECT_EQ(Left(a.id), 10);
}

TEST_F(BalancerTest, ADrainingNodeKeepsWhatItHasAndGetsNoMore) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  ASSERT_TRUE(ledger_.SetDraining(a.id, true, "operator").ok());
  ASSERT_TRUE(operator_.tree().Create(DrainPath(a.id), "", CreateMode::kPersistent).ok());
  ASSERT_TRUE(ledger_.AddStock("tv", 4, std::nullopt, "test").ok());
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(kPool)}), (Units{5, 9, 0}));
}

TEST_F(BalancerTest, ANodeThatOnlyZooKeeperAsksToDrainIsGivenUnits) {
  CreateSku(10);
  const Node a = AddNode();
  ASSERT_TRUE(operator_.tree().Create(DrainPath(a.id), "", CreateMode::kPersistent).ok());
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_EQ(Left(a.id), 10);
}

// Only home's ledger has the flag; another shard's balancer asks another ledger.
TEST_F(BalancerTest, AnotherShardsBalancerGivesADrainingNodeNothing) {
  BalancerOptions options = options_;
  options.shard = "hot";
  Balancer hot(&connector_, &ledger_, &clock_, options);
  ASSERT_TRUE(hot.Connect().ok());
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  ASSERT_TRUE(operator_.tree().Create(DrainPath(a.id), "", CreateMode::kPersistent).ok());
  ASSERT_TRUE(hot.RunOnce().ok());
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(kPool)}), (Units{0, 10, 0}));
}

TEST_F(BalancerTest, OneLeadsAndTheOtherTakesOver) {
  const Node a = AddNode();
  Balancer other(&connector_, &ledger_, &clock_, options_);
  ASSERT_TRUE(other.Connect().ok());
  ASSERT_TRUE(balancer_.RunOnce().ok());
  CreateSku(10);
  ASSERT_TRUE(other.RunOnce().ok());
  EXPECT_TRUE(balancer_.leading());
  EXPECT_FALSE(other.leading());
  EXPECT_EQ(Left(kPool), 10) << "who does not lead moves nothing";

  zookeeper_.ExpireSession(balancer_.Session()->SessionId());
  ASSERT_TRUE(other.RunOnce().ok());
  EXPECT_TRUE(other.leading());
  EXPECT_EQ(Left(a.id), 10);
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_FALSE(balancer_.leading());
}

// No balancer's session owns it, so it would never vanish.
TEST_F(BalancerTest, APersistentZnodeOfTheLeaderKeepsNobodyFromLeading) {
  const Node a = AddNode();
  CreateSku(10);
  ASSERT_TRUE(operator_.tree().Create(LeaderPath(options_.shard), "stranger", CreateMode::kPersistent).ok());
  ASSERT_TRUE(operator_.tree().Create(LeaderPath(options_.shard) + "/child", "", CreateMode::kPersistent).ok());
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_TRUE(balancer_.HasWork()) << "its deletion wakes us";
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_TRUE(balancer_.leading());
  EXPECT_EQ(Left(a.id), 10);
}

// A registration vanishes with the node's session. One that cannot vanish would keep the units of a dead node.
TEST_F(BalancerTest, APersistentRegistrationKeepsNoDeadNodeAlive) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  const auto registration = operator_.tree().Get(NodePath(a.id), Watch::kNo);
  ASSERT_TRUE(registration.ok());
  zookeeper_.ExpireSession(a.session->SessionId());
  ASSERT_TRUE(operator_.tree().Create(NodePath(a.id), registration->data, CreateMode::kPersistent).ok());
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(kPool)}), (Units{0, 10, 0}));
}

// The node is there, and writes it again.
TEST_F(BalancerTest, ARegistrationThatSomebodyWroteOverIsNoDeadNode) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  const Units before{Left(a.id), Left(b.id), Left(kPool)};
  ASSERT_TRUE(operator_.tree().Set(NodePath(a.id), "\xff\xff", kAnyVersion).ok());
  clock_.AdvanceBy(options_.refresh_interval);
  Rounds();
  EXPECT_TRUE(IsLive(a.id));
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(kPool)}), before);
}

TEST_F(BalancerTest, ANewcomerGetsItsShareAndTheOthersAreNotReshuffled) {
  CreateSku(12);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  ASSERT_TRUE(ledger_.MoveUnits("tv", {{a.id, -4}, {b.id, 4}}, std::nullopt, "test").ok());
  const Node c = AddNode();
  Rounds();
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(c.id), Left(kPool)}), (Units{2, 6, 4, 0}));
  ExpectAnnounced(c);
}

TEST_F(BalancerTest, ANewLeaderDoesNotReshuffle) {
  CreateSku(12);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  ASSERT_TRUE(ledger_.MoveUnits("tv", {{a.id, -4}, {b.id, 4}}, std::nullopt, "test").ok());
  const int64_t version = QuotaVersion();
  zookeeper_.ExpireSession(balancer_.Session()->SessionId());
  Rounds();
  EXPECT_TRUE(balancer_.leading());
  EXPECT_EQ(QuotaVersion(), version);
  // Nor does a leader that finds a newcomer, which has nothing yet.
  zookeeper_.ExpireSession(balancer_.Session()->SessionId());
  const Node c = AddNode();
  Rounds();
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(c.id)}), (Units{2, 6, 4}));
}

TEST_F(BalancerTest, TheLedgersFlagAloneDrains) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  ASSERT_TRUE(ledger_.SetDraining(a.id, true, "test").ok());
  clock_.AdvanceBy(options_.refresh_interval);
  Rounds();
  ASSERT_TRUE(ledger_.AddStock("tv", 4, std::nullopt, "test").ok());
  Rounds();
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(kPool)}), (Units{5, 9, 0}));
  // Undrained, it is welcomed as a newcomer.
  ASSERT_TRUE(ledger_.MoveUnits("tv", {{a.id, -5}}, std::nullopt, "drain").ok());
  Rounds();
  ASSERT_TRUE(ledger_.SetDraining(a.id, false, "test").ok());
  clock_.AdvanceBy(options_.refresh_interval);
  Rounds();
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(kPool)}), (Units{7, 7, 0}));
}

TEST_F(BalancerTest, AFrozenSkuIsLeftAloneAndReclaimGoesOn) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  Rounds();
  ASSERT_TRUE(ledger_.SetQuotaFrozen("tv", true, "test").ok());
  Buy(a, 5);
  ReportDemand(a, /*wanted=*/1);
  const Node c = AddNode();
  ASSERT_TRUE(ledger_.AddStock("tv", 3, std::nullopt, "test").ok());
  clock_.AdvanceBy(options_.demand_retry);
  Rounds();
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(c.id), Left(kPool)}), (Units{0, 5, 0, 3}))
      << "neither demand nor a newcomer nor the pool moves units";
  zookeeper_.ExpireSession(b.session->SessionId());
  Rounds();
  EXPECT_EQ((Units{Left(a.id), Left(c.id), Left(kPool)}), (Units{0, 0, 8}));
  ASSERT_TRUE(ledger_.SetQuotaFrozen("tv", false, "test").ok());
  clock_.AdvanceBy(options_.demand_retry);
  Rounds();
  EXPECT_EQ(Left(kPool), 0);
  EXPECT_GE(Left(a.id), 1);
}

// A hundred thousand pools must not delay one dry node.
TEST_F(BalancerTest, TheUrgentComesFirstAndTheRestInPieces) {
  constexpr int kSkus = 2000;
  for (int i = 0; i < kSkus; ++i) CreateSku(10, absl::StrCat("sku-", 10000 + i));
  CreateSku(10);  // "tv": the last one by name
  const Node a = AddNode();
  ReportDemand(a, /*wanted=*/1);
  Round();
  EXPECT_GE(Left(a.id), 1);
  ExpectAnnounced(a);
  EXPECT_TRUE(balancer_.HasWork());
  EXPECT_FALSE(ledger_.ListPooledSkus("", 1)->empty()) << "one round does a bounded piece";
  Rounds();
  EXPECT_TRUE(ledger_.ListPooledSkus("", 1)->empty());
  EXPECT_EQ(operator_.tree().List(SlicesPath(a.id), Watch::kNo)->size(), kSkus + 1u);
}

TEST_F(BalancerTest, AThreadOfItsOwnTakesTheRounds) {
  CreateSku(10);
  const Node a = AddNode();
  // The tree shows it: the first announcement of the slice.
  class Heard : public Bystander {
   public:
    using Bystander::Bystander;
    void OnChanged(const std::string& path) override {
      if (!first.HasBeenNotified()) first.Notify();
    }
    absl::Notification first;
  };
  Heard heard(&connector_);
  ASSERT_TRUE(heard.tree().List(SlicesPath(a.id), Watch::kYes).ok());
  Balancer other(&connector_, &ledger_, &clock_, options_);
  ASSERT_TRUE(other.Start().ok());
  EXPECT_TRUE(heard.first.WaitForNotificationWithTimeout(absl::Seconds(20)));
  other.Stop();
  EXPECT_EQ(Left(a.id), 10);
  EXPECT_FALSE(Exists(LeaderPath()));
}

// SOLD_OUT is lifted when units of cancelled reservations come back: the units of a SKU that waits for demand lie in
// the pool, and nobody who has heard "sold out" would ask.
TEST_F(BalancerTest, ReturnedUnitsOfASoldOutSkuMakeItSellableAgain) {
  CreateSku(2, "tv", /*presplit=*/false);
  const Node a = AddNode();
  Rounds();
  ReportDemand(a, 2);
  Rounds();
  Buy(a, 1);
  const auto sold = Buy(a, 1);
  ReportDemand(a, 1, 0, 0, Held(a.id).version);
  Rounds();
  ASSERT_EQ(AnnouncedSku().unsold(), 0) << "sold out";

  ASSERT_EQ(ledger_.CancelReservations({{sold, "changed my mind"}})->front().outcome, storage::ChangeOutcome::kDone);
  Rounds();
  EXPECT_EQ(AnnouncedSku().unsold(), 1);
  EXPECT_EQ(AnnouncedSku().version(), QuotaVersion());
  EXPECT_TRUE(ledger_.ListReturnedSkus("", 10)->empty());
  EXPECT_EQ(Left(kPool), 1) << "until somebody asks";
  clock_.AdvanceBy(options_.demand_retry);
  ReportDemand(a, 1, 0, 0, Held(a.id).version);
  Rounds();
  EXPECT_EQ(Left(a.id), 1);
  Buy(a, 1);
  EXPECT_EQ(Unsold(), 0);
}

TEST_F(BalancerTest, ReturnedUnitsOfAPresplitSkuGoToTheNodes) {
  CreateSku(2);
  const Node a = AddNode();
  Rounds();
  const auto sold = Buy(a, 1), other = Buy(a, 1);
  ReportDemand(a, 1, 0, 0, Held(a.id).version);
  Rounds();
  ASSERT_EQ(AnnouncedSku().unsold(), 0);
  ledger_.CancelReservations({{sold, ""}, {other, ""}}).status().IgnoreError();
  Rounds();
  EXPECT_GT(AnnouncedSku().unsold(), 0);
  EXPECT_EQ(Left(a.id), 2);
  ExpectAnnounced(a);
  EXPECT_TRUE(ledger_.ListReturnedSkus("", 10)->empty());
}

TEST_F(BalancerTest, ReturnedUnitsAreAnnouncedAlsoWhereTheQuotaIsFrozen) {
  CreateSku(1);
  const Node a = AddNode();
  Rounds();
  const auto sold = Buy(a, 1);
  ASSERT_TRUE(ledger_.SetQuotaFrozen("tv", true, "test").ok());
  ReportDemand(a, 1, 0, 0, Held(a.id).version);
  Rounds();
  ASSERT_EQ(AnnouncedSku().unsold(), 0);
  ledger_.CancelReservations({{sold, ""}}).status().IgnoreError();
  Rounds();
  EXPECT_EQ(AnnouncedSku().unsold(), 1);
  EXPECT_EQ(Left(kPool), 1);
}

TEST_F(BalancerTest, ReturnedUnitsThatCouldNotBeAnnouncedAreAnnouncedLater) {
  CreateSku(1, "tv", /*presplit=*/false);
  const Node a = AddNode();
  Rounds();
  ReportDemand(a, 1);
  Rounds();
  const auto sold = Buy(a, 1);
  ledger_.CancelReservations({{sold, ""}}).status().IgnoreError();
  ledger_.FailNext(1000);
  EXPECT_FALSE(balancer_.RunOnce().ok());
  ledger_.FailNext(0);
  EXPECT_FALSE(ledger_.ListReturnedSkus("", 10)->empty());
  Rounds();
  EXPECT_TRUE(ledger_.ListReturnedSkus("", 10)->empty());
  EXPECT_EQ(AnnouncedSku().unsold(), 1);
}

TEST_F(BalancerTest, ReturnedSkusThatChangeAllTheTimeHoldUpNoOthers) {
  const Node a = AddNode();
  Rounds();
  std::vector<std::string> skus = {"tv"};
  for (int i = 0; i < storage::kMaxQuotaBatch; ++i) skus.push_back(absl::StrCat("busy-", 100 + i));
  for (const std::string& sku_id : skus) {
    CreateSku(1, sku_id, /*presplit=*/false);
    ReturnUnit(a, sku_id);
  }
  ledger_.busy_before = "tv";
  Rounds();
  EXPECT_EQ(ledger_.ListReturnedSkus("", 1000)->size(), static_cast<size_t>(storage::kMaxQuotaBatch));
  EXPECT_TRUE(ledger_.ListReturnedSkus("busy-9", 10)->empty()) << "the quiet one is done with";
  ledger_.busy_before = "";
  Rounds();
  EXPECT_TRUE(ledger_.ListReturnedSkus("", 10)->empty());
}

TEST_F(BalancerTest, OfReturnedSkusThoseThatWereAnnouncedAreDoneWith) {
  const Node a = AddNode();
  CreateSku(1, "radio", /*presplit=*/false);
  CreateSku(1, "tv", /*presplit=*/false);
  for (const char* sku_id : {"radio", "tv"}) ReturnUnit(a, sku_id);
  Rounds();
  for (const char* sku_id : {"radio", "tv"}) ReturnUnit(a, sku_id);
  zookeeper_.FailNextWrite(FakeZookeeper::UnknownOutcome::kNotPerformed);
  EXPECT_FALSE(balancer_.RunOnce().ok());
  EXPECT_EQ(*ledger_.ListReturnedSkus("", 10), std::vector<std::string>{"radio"});
  Rounds();
  EXPECT_TRUE(ledger_.ListReturnedSkus("", 10)->empty());
}

// A late payment takes a unit out of a slice: its node must hear that it has less.
TEST_F(BalancerTest, ASliceThatALatePaymentMadeSmallerIsAnnounced) {
  CreateSku(3);
  const Node a = AddNode();
  Rounds();
  const auto sold = Buy(a, 1);
  clock_.AdvanceBy(absl::Hours(1));
  ASSERT_EQ(ledger_.ExpireDue(10)->expired, 1);
  Rounds();
  ASSERT_EQ(Left(a.id), 3);
  ASSERT_EQ(ledger_.ConfirmLate({sold, "pay-1", 100, "EUR"})->outcome, storage::ChangeOutcome::kRebooked);
  ASSERT_EQ(Left(a.id), 2);
  Rounds();
  ExpectAnnounced(a);
}

TEST_F(BalancerTest, ASliceMadeSmallerIsAnnouncedAlsoWhenSomethingElseChangedSince) {
  CreateSku(3);
  const Node a = AddNode();
  Rounds();
  const auto sold = Buy(a, 1);
  clock_.AdvanceBy(absl::Hours(1));
  ASSERT_EQ(ledger_.ExpireDue(10)->expired, 1);
  Rounds();
  const auto other = Buy(a, 1);
  ASSERT_TRUE(ledger_.SetQuotaFrozen("tv", true, "test").ok());
  ASSERT_EQ(ledger_.ConfirmLate({sold, "pay-1", 100, "EUR"})->outcome, storage::ChangeOutcome::kRebooked);
  ASSERT_TRUE(ledger_.CancelReservations({{other, ""}}).ok());
  ASSERT_LT(Held(a.id).version, QuotaVersion());
  Rounds();
  ExpectAnnounced(a);
}

// Says the same of every copy.
class OneVerdict : public storage::CopyCheck {
 public:
  void BeginPass() override {}
  absl::StatusOr<Verdict> Judge(const std::string&, const std::string&) override {
    ++judged;
    return verdict;
  }
  Verdict verdict = Verdict::kOpen;
  int judged = 0;
};

TEST_F(BalancerTest, UnitsOfACopyThatMayBeOlderAreNotAnnounced) {
  const auto copies = std::make_shared<OneVerdict>();
  BalancerOptions options = options_;
  options.copies = copies;
  Balancer home(&connector_, &ledger_, &clock_, options);
  ASSERT_TRUE(home.Connect().ok());
  CreateSku(100);
  const Node a = AddNode();
  const auto announce_elsewhere = [&] {
    storage::Sku sku = *ledger_.GetSku("tv");
    sku.shard = "hot";
    ++sku.quota_version;
    return Announcer(&operator_, OtherShards::kReplaced).Announce({{sku, /*always=*/true}}, {});
  };
  ASSERT_TRUE(announce_elsewhere().ok());
  const auto round_with_new_units = [&] {
    ASSERT_TRUE(ledger_.AddStock("tv", 5, std::nullopt, "test").ok());
    ASSERT_TRUE(home.RunOnce().ok());
  };

  round_with_new_units();
  EXPECT_EQ(Left(a.id), 105);
  EXPECT_FALSE(Exists(SlicePath(a.id, "tv")));
  EXPECT_EQ(AnnouncedSku().shard(), "hot");
  EXPECT_EQ(copies->judged, 1);
  round_with_new_units();
  EXPECT_EQ(copies->judged, 1) << "it was open a moment ago";
  EXPECT_EQ(Left(kPool), 5) << "so nothing is moved";

  copies->verdict = storage::CopyCheck::Verdict::kCounts;
  clock_.AdvanceBy(options_.repair_interval);
  round_with_new_units();
  EXPECT_EQ(copies->judged, 2);
  EXPECT_EQ(AnnouncedSku().shard(), "");
  ExpectAnnounced(a);

  // Not known to be open: it is judged in the same round.
  ASSERT_TRUE(announce_elsewhere().ok());
  ASSERT_EQ(AnnouncedSku().shard(), "hot");
  round_with_new_units();
  EXPECT_EQ(copies->judged, 3);
  EXPECT_EQ(AnnouncedSku().shard(), "");
  ExpectAnnounced(a);
}

}  // namespace
}  // namespace tranche::quota
