#include "quota/balancer.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "quota/coordination_paths.h"
#include "quota/fake_coordination.h"
#include "storage/fake_ledger.h"
#include "tests/unit/tree_tools.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {
namespace {

using internal::v1::DemandReport;
using internal::v1::NodeRegistration;
using internal::v1::SkuAnnouncement;
using internal::v1::SliceAnnouncement;
using storage::FakeClock;
using storage::FakeLedger;
using storage::IncarnationId;
using storage::kPool;
using Units = std::vector<int64_t>;

// A front node as the balancer sees it: a registration, and what is written for it.
struct Node {
  std::unique_ptr<Coordination> session;
  IncarnationId id = kPool;
};

// Every round is run by hand, on one thread; time moves by hand.
class BalancerTest : public ::testing::Test {
 protected:
  BalancerTest() { EXPECT_TRUE(balancer_.Connect().ok()); }

  void CreateSku(int64_t stock) {
    ASSERT_TRUE(ledger_
                    .CreateSku({.sku_id = "tv",
                                .title = "",
                                .price_minor = 100,
                                .currency = "EUR",
                                .stock = stock,
                                .per_user_limit = 1000},
                               "test")
                    .ok());
  }

  Node AddNode() {
    Node node{*connector_.Connect(&operator_), *ledger_.RegisterIncarnation("node", "host:1")};
    NodeRegistration registration;
    registration.set_name("node");
    registration.set_address("host:1");
    EXPECT_TRUE(node.session->Create(SlicesPath(node.id), "", CreateMode::kPersistent).ok());
    EXPECT_TRUE(node.session->Create(NodePath(node.id), registration.SerializeAsString(), CreateMode::kEphemeral).ok());
    return node;
  }

  // Writes the node's report, as its latest.
  void ReportDemand(const Node& node, int64_t wanted, double grants_per_s = 0) {
    DemandReport report;
    report.set_sequence(1);
    DemandReport::SkuDemand* demand = report.add_skus();
    demand->set_sku_id("tv");
    demand->set_wanted(wanted);
    demand->set_grants_per_s(grants_per_s);
    Report(node, report);
  }
  void Report(const Node& node, const DemandReport& report) {
    const std::string path = DemandPath(node.id), data = report.SerializeAsString();
    absl::Status written = node.session->Set(path, data, kAnyVersion);
    if (absl::IsNotFound(written)) written = node.session->Create(path, data, CreateMode::kEphemeral);
    ASSERT_TRUE(written.ok()) << written;
  }

  void Buy(const Node& node, int32_t units) {
    const uint8_t number = next_id_++;
    storage::ReservationClaim claim{
        .reservation_id = {}, .sku_id = "tv", .user_id = std::to_string(number), .quantity = units};
    claim.reservation_id.bytes[15] = number;
    const auto results = ledger_.CommitReservations(node.id, storage::LockMode::kWait, {claim});
    ASSERT_TRUE(results.ok());
    ASSERT_EQ(results->front().outcome, storage::CommitOutcome::kCreated);
  }

  storage::Slice Held(IncarnationId holder) {
    const storage::QuotaSnapshot quota = *ledger_.ReadQuota("tv");
    for (const storage::Slice& slice : quota.slices) {
      if (slice.holder == holder) return slice;
    }
    return {};
  }
  int64_t Left(IncarnationId holder) { return Held(holder).remaining; }
  int64_t QuotaVersion() { return ledger_.ReadQuota("tv")->quota_version; }
  bool IsLive(IncarnationId id) {
    const auto live = *ledger_.ListLiveIncarnations();
    return std::any_of(live.begin(), live.end(), [&](const auto& incarnation) { return incarnation.id == id; });
  }
  bool Exists(const std::string& path) { return operator_.Exists(path); }

  // The node is told what the ledger says, and with the ledger's version.
  void ExpectAnnounced(const Node& node) {
    const auto znode = operator_.tree().Get(SlicePath(node.id, "tv"), Watch::kNo);
    ASSERT_TRUE(znode.ok()) << znode.status();
    SliceAnnouncement announcement;
    ASSERT_TRUE(announcement.ParseFromString(znode->data));
    EXPECT_EQ(announcement.allotted(), Held(node.id).allotted);
    EXPECT_EQ(announcement.version(), Held(node.id).version);
  }
  SkuAnnouncement AnnouncedSku() {
    SkuAnnouncement announcement;
    const auto znode = operator_.tree().Get(SkuPath("tv"), Watch::kNo);
    EXPECT_TRUE(znode.ok() && announcement.ParseFromString(znode->data));
    return announcement;
  }

  FakeClock clock_;
  FakeLedger ledger_{&clock_};
  FakeZookeeper zookeeper_;
  FakeConnector connector_{&zookeeper_};
  Bystander operator_{&connector_};
  const BalancerOptions options_;
  Balancer balancer_{&connector_, &ledger_, &clock_, options_};
  uint8_t next_id_ = 1;
};

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
  // The ended one is the higher number, so that no leftover of it is removed meanwhile.
  const Node a = AddNode(), b = AddNode();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  ASSERT_TRUE(ledger_.ReclaimIncarnation(b.id).ok());
  clock_.AdvanceBy(options_.refresh_interval);  // nothing in the tree tells
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
  ASSERT_TRUE(operator_.tree().Create(DrainPath(a.id), "", CreateMode::kPersistent).ok());
  ASSERT_TRUE(ledger_.AddStock("tv", 4, std::nullopt, "test").ok());
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(kPool)}), (Units{5, 9, 0}));
}

TEST_F(BalancerTest, ADryNodesDemandMovesUnitsFromAnIdleOne) {
  CreateSku(10);
  const Node a = AddNode(), b = AddNode();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  Buy(a, 5);
  ASSERT_TRUE(balancer_.RunOnce().ok());
  ASSERT_EQ((Units{Left(a.id), Left(b.id)}), (Units{0, 5}));  // without a demand nothing moves
  ReportDemand(a, /*wanted=*/1);
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(kPool)}), (Units{5, 0, 0})) << "where the buyers are";
  for (const Node* node : {&a, &b}) ExpectAnnounced(*node);
  // The report is still there, but what it asked for is on its way.
  const int64_t version = QuotaVersion();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_EQ(QuotaVersion(), version);
}

TEST_F(BalancerTest, BuyersOfTwoAreServedByGatheringLots) {
  CreateSku(4);
  const Node a = AddNode(), b = AddNode(), c = AddNode(), d = AddNode();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  ASSERT_EQ((Units{Left(a.id), Left(b.id), Left(c.id), Left(d.id)}), (Units{1, 1, 1, 1}));
  ReportDemand(c, /*wanted=*/2);
  ReportDemand(d, /*wanted=*/2);
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_EQ((Units{Left(a.id), Left(b.id), Left(c.id), Left(d.id)}), (Units{0, 0, 2, 2}));
  const int64_t version = QuotaVersion();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_EQ(QuotaVersion(), version);
}

TEST_F(BalancerTest, WhenNobodyHasAUnitEverybodyIsTold) {
  CreateSku(2);
  const Node a = AddNode();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  ASSERT_EQ(AnnouncedSku().unsold(), 2);
  Buy(a, 2);
  ReportDemand(a, /*wanted=*/1);
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_EQ(AnnouncedSku().unsold(), 0);
  EXPECT_TRUE(AnnouncedSku().holds_may_lapse());
}

TEST_F(BalancerTest, OldAndMissingAnnouncementsAreRepaired) {
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

TEST_F(BalancerTest, AMoveWhoseAnnouncementWasLostIsRepaired) {
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

TEST_F(BalancerTest, LeftoversOfEndedIncarnationsAreRemoved) {
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

// An operator's call changes the ledger and dies before it has told the node.
TEST_F(BalancerTest, ADrainAndItsEndThatWereNotToldAreRepaired) {
  const Node a = AddNode();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  for (const bool draining : {true, false}) {
    ASSERT_TRUE(ledger_.SetDraining(a.id, draining, "test").ok());
    clock_.AdvanceBy(options_.repair_interval);
    ASSERT_TRUE(balancer_.RunOnce().ok());
    EXPECT_EQ(Exists(DrainPath(a.id)), draining);
  }
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

TEST_F(BalancerTest, AnIncarnationThatNeverRegisteredIsReclaimedOnlyAfterItsGrace) {
  CreateSku(10);
  const Node a = AddNode();
  ASSERT_TRUE(balancer_.RunOnce().ok());
  const IncarnationId starting = *ledger_.RegisterIncarnation("starting", "host:2");
  ASSERT_TRUE(
      ledger_.MoveUnits("tv", {storage::QuotaDelta{a.id, -4}, storage::QuotaDelta{starting, 4}}, std::nullopt, "test")
          .ok());
  clock_.AdvanceBy(options_.refresh_interval);
  ASSERT_TRUE(balancer_.RunOnce().ok());
  clock_.AdvanceBy(options_.unregistered_grace - absl::Seconds(1));
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_TRUE(IsLive(starting));
  EXPECT_EQ((Units{Left(a.id), Left(starting)}), (Units{6, 4}));
  clock_.AdvanceBy(absl::Seconds(1));
  ASSERT_TRUE(balancer_.RunOnce().ok());
  EXPECT_FALSE(IsLive(starting));
  EXPECT_EQ((Units{Left(a.id), Left(starting), Left(kPool)}), (Units{10, 0, 0}));
}

}  // namespace
}  // namespace tranche::quota
