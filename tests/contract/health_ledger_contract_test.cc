// Heartbeats and the ledger's health, on the fake and on PostgreSQL.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/contract/lifecycle_fixture.h"

namespace tranche::storage {
namespace {

using testing::Claim;
using testing::ClaimsOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Between two calls.
constexpr absl::Duration kMoment = absl::Seconds(30);

class HealthLedgerContract : public LifecycleContractTest {
 protected:
  static Heartbeat BeatOf(Heartbeat::Kind kind, int instance) {
    Heartbeat heartbeat;
    heartbeat.kind = kind;
    heartbeat.instance = *Uuid::Parse(absl::StrFormat("00000000-0000-4000-8000-%012d", instance));
    heartbeat.name = absl::StrCat("process-", instance);
    heartbeat.version = "1.2";
    return heartbeat;
  }
  std::vector<Heartbeat> Heartbeats() {
    const auto heartbeats = health().Heartbeats();
    EXPECT_TRUE(heartbeats.ok()) << heartbeats.status();
    return heartbeats.value_or(std::vector<Heartbeat>());
  }
  LedgerHealth Health() {
    const auto found = health().Health();
    EXPECT_TRUE(found.ok()) << found.status();
    return found.value_or(LedgerHealth{});
  }
  std::vector<GoneIncarnation> Gone(const std::vector<IncarnationId>& serving) {
    const auto gone = health().GoneIncarnations(serving);
    EXPECT_TRUE(gone.ok()) << gone.status();
    return gone.value_or(std::vector<GoneIncarnation>());
  }
  SkuHolds HoldsOf(const std::string& sku_id) {
    const auto counted = health().CountHolds({sku_id, "unknown"});
    EXPECT_TRUE(counted.ok()) << counted.status();
    for (const SkuHolds& holds : counted.value_or(std::vector<SkuHolds>())) {
      if (holds.sku_id == sku_id) return holds;
    }
    ADD_FAILURE() << "not counted";
    return {};
  }
};
INSTANTIATE_TEST_SUITE_P(Both, HealthLedgerContract, BothLedgers(), LedgerName);

TEST_P(HealthLedgerContract, AWorkersHeartbeatComesBackAsItWas) {
  EXPECT_THAT(Heartbeats(), IsEmpty());
  Heartbeat worker = BeatOf(Heartbeat::Kind::kWorker, 1);
  worker.expires = true;
  worker.draws = true;
  worker.sinks = {"audit", "orders"};
  worker.since_expiry = absl::Milliseconds(250);
  ASSERT_TRUE(health().Beat(worker).ok());
  ASSERT_EQ(Heartbeats().size(), 1U);
  const Heartbeat read = Heartbeats().front();
  EXPECT_EQ(read.kind, Heartbeat::Kind::kWorker);
  EXPECT_EQ(read.instance, worker.instance);
  EXPECT_EQ(read.name, "process-1");
  EXPECT_EQ(read.version, "1.2");
  EXPECT_TRUE(read.expires);
  EXPECT_FALSE(read.retires);
  EXPECT_TRUE(read.draws);
  EXPECT_THAT(read.sinks, ElementsAre("audit", "orders"));
  ASSERT_TRUE(read.since_expiry.has_value());
  EXPECT_GE(*read.since_expiry, absl::Milliseconds(250));
  EXPECT_LT(*read.since_expiry, kMoment);
  EXPECT_FALSE(read.since_led.has_value());
  EXPECT_FALSE(read.ended);
  EXPECT_LT(read.age, kMoment);
}

TEST_P(HealthLedgerContract, WhatABeatSaysGrowsOlderWithIt) {
  Heartbeat balancer = BeatOf(Heartbeat::Kind::kBalancer, 1);
  balancer.leads = true;
  balancer.leads_for = absl::Minutes(2);
  balancer.since_led = absl::ZeroDuration();
  balancer.since_round = absl::Seconds(1);
  ASSERT_TRUE(health().Beat(balancer).ok());
  const absl::Time started_at = Heartbeats().front().started_at;
  LetPass(absl::Hours(1));
  Heartbeat read = Heartbeats().front();
  EXPECT_TRUE(read.leads) << "by its last word";
  EXPECT_GE(read.age, absl::Hours(1));
  EXPECT_GE(*read.leads_for, absl::Hours(1) + absl::Minutes(2));
  EXPECT_GE(*read.since_round, absl::Hours(1) + absl::Seconds(1));

  balancer.leads = false;
  balancer.since_led = absl::Minutes(7);
  ASSERT_TRUE(health().Beat(balancer).ok());
  read = Heartbeats().front();
  EXPECT_EQ(Heartbeats().size(), 1U) << "one row for a run";
  EXPECT_LT(read.age, kMoment);
  EXPECT_LE(read.started_at, started_at) << "it began with its first beat";
  EXPECT_FALSE(read.leads);
  EXPECT_FALSE(read.leads_for.has_value());
  EXPECT_GE(*read.since_led, absl::Minutes(7));
}

TEST_P(HealthLedgerContract, AnOrderlyEndIsTold) {
  Heartbeat balancer = BeatOf(Heartbeat::Kind::kBalancer, 1);
  balancer.leads = true;
  balancer.since_led = absl::ZeroDuration();
  ASSERT_TRUE(health().Beat(balancer).ok());
  ASSERT_TRUE(health().EndBeat(Heartbeat::Kind::kWorker, balancer.instance).ok());
  EXPECT_FALSE(Heartbeats().front().ended) << "that is no worker";
  ASSERT_TRUE(health().EndBeat(Heartbeat::Kind::kBalancer, balancer.instance).ok());
  const Heartbeat read = Heartbeats().front();
  EXPECT_TRUE(read.ended);
  EXPECT_FALSE(read.leads);
  EXPECT_LT(*read.since_led, kMoment) << "it led until then";
  ASSERT_TRUE(health().Beat(balancer).ok());
  EXPECT_FALSE(Heartbeats().front().ended);
}

TEST_P(HealthLedgerContract, TheLatestBeatComesFirstAndOldOnesAreForgotten) {
  ASSERT_TRUE(health().Beat(BeatOf(Heartbeat::Kind::kWorker, 1)).ok());
  LetPass(absl::Hours(20));
  ASSERT_TRUE(health().Beat(BeatOf(Heartbeat::Kind::kWorker, 2)).ok());
  ASSERT_EQ(Heartbeats().size(), 2U);
  EXPECT_EQ(Heartbeats().front().name, "process-2");
  LetPass(absl::Hours(5));
  ASSERT_TRUE(health().Beat(BeatOf(Heartbeat::Kind::kWorker, 3)).ok());
  ASSERT_EQ(Heartbeats().size(), 2U) << "25 hours are too long ago";
  EXPECT_EQ(Heartbeats().back().name, "process-2");
}

TEST_P(HealthLedgerContract, AnEmptyLedgerIsWell) {
  EXPECT_TRUE(health().Ping().ok());
  const LedgerHealth found = Health();
  EXPECT_FALSE(found.read_only);
  EXPECT_EQ(found.overdue_holds, 0);
  EXPECT_EQ(found.oldest_overdue, absl::ZeroDuration());
  EXPECT_EQ(found.refunds_waiting, 0);
  EXPECT_EQ(found.stranded_units, 0);
  EXPECT_THAT(found.pools, IsEmpty());
  ASSERT_EQ(found.sinks.size(), 1U);
  EXPECT_EQ(found.sinks.front().sink, "default");
  EXPECT_EQ(found.sinks.front().pending, 0);
}

TEST_P(HealthLedgerContract, HoldsAreOverdueUntilTheyExpire) {
  Sku sku = SkuOf("tv", 10, /*per_user_limit=*/3);
  sku.hold = absl::Seconds(60);
  Create(sku);
  const IncarnationId node = HolderOf("tv", 10);
  Hold(node, "tv", "alice", 3);
  Confirm(PaymentOf(Hold(node, "tv", "bob", 2)));
  EXPECT_EQ(Health().overdue_holds, 0);
  EXPECT_EQ(HoldsOf("tv").pending, 3);
  EXPECT_EQ(HoldsOf("tv").overdue, 0);
  LetPass(absl::Seconds(100));
  EXPECT_EQ(Health().overdue_holds, 1);
  EXPECT_GE(Health().oldest_overdue, absl::Seconds(40));
  EXPECT_LT(Health().oldest_overdue, absl::Seconds(40) + kMoment);
  EXPECT_EQ(HoldsOf("tv").pending, 3);
  EXPECT_EQ(HoldsOf("tv").overdue, 3);
  EXPECT_FALSE(HoldsOf("tv").more);
  ASSERT_EQ(Expire().expired, 1);
  EXPECT_EQ(Health().overdue_holds, 0);
  EXPECT_EQ(HoldsOf("tv").pending, 0);
}

TEST_P(HealthLedgerContract, MessagesAndRefundsWait) {
  Create(SkuOf("tv", 1));
  const Reservation lapsed = Expired(HolderOf("tv", 1), "tv", "alice");
  ASSERT_TRUE(stock().ReduceStock("tv", 1, std::nullopt, "test").ok());
  ASSERT_EQ(ConfirmLate(PaymentOf(lapsed)).outcome, ChangeOutcome::kPaidUnfulfilled);
  LetPass(absl::Hours(2));
  const LedgerHealth found = Health();
  EXPECT_EQ(found.refunds_waiting, 1);
  EXPECT_GE(found.oldest_refund, absl::Hours(2));
  ASSERT_EQ(found.sinks.size(), 1U);
  EXPECT_EQ(found.sinks.front().pending, 2) << "expired, and the refund";
  EXPECT_GE(found.sinks.front().oldest_pending, absl::Hours(2));
  EXPECT_EQ(found.sinks.front().dead, 0);
}

TEST_P(HealthLedgerContract, PoolsWaitUntilTheirUnitsAreGivenOut) {
  Create(SkuOf("tv", 10));
  Sku on_demand = SkuOf("cable", 5);
  on_demand.presplit = false;
  Create(on_demand);
  ASSERT_EQ(Health().pools.size(), 1U) << "units of the other SKU wait for a buyer";
  const WaitingPool before = Health().pools.front();
  EXPECT_EQ(before.sku_id, "tv");
  EXPECT_EQ(before.units, 10);
  EXPECT_EQ(Health().pools.front().version, before.version) << "nobody has touched it";
  const IncarnationId node = HolderOf("tv", 4);
  ASSERT_EQ(Health().pools.size(), 1U);
  EXPECT_EQ(Health().pools.front().units, 6);
  EXPECT_NE(Health().pools.front().version, before.version);
  Move("tv", {{node, 6}});
  EXPECT_THAT(Health().pools, IsEmpty());
}

TEST_P(HealthLedgerContract, CountsSkusOnSaleAndSoldOut) {
  Create(SkuOf("tv", 2));
  Create(SkuOf("radio", 2));
  Create(SkuOf("closed", 2));
  ASSERT_TRUE(stock().CloseSku("closed", "test").ok());
  Commit(HolderOf("radio", 2), ClaimsOf("radio", "u", 2));
  const LedgerHealth found = Health();
  EXPECT_EQ(found.skus, 3);
  EXPECT_EQ(found.open_skus, 2);
  EXPECT_EQ(found.sold_out_skus, 1);
  EXPECT_EQ(found.paused_skus, 0);
  for (const char* sku : {"radio", "closed"}) {
    ASSERT_TRUE(stock().SetSkuPaused(sku, true, "", std::nullopt, "test").ok());
  }
  const LedgerHealth paused = Health();
  EXPECT_EQ(paused.open_skus, 1);
  EXPECT_EQ(paused.sold_out_skus, 0);
  EXPECT_EQ(paused.paused_skus, 1) << "a closed one is closed";
}

TEST_P(HealthLedgerContract, SaysWhoHasFrozenTheClusterAndWhen) {
  EXPECT_FALSE(Health().frozen);
  ASSERT_TRUE(stock().SetClusterFrozen(true, "alice").ok());
  const LedgerHealth frozen = Health();
  EXPECT_TRUE(frozen.frozen);
  EXPECT_EQ(frozen.frozen_by, "alice");
  EXPECT_EQ(frozen.frozen_at, stock().ReadClusterSettings()->changed_at);
  ASSERT_TRUE(stock().SetClusterFrozen(false, "bob").ok());
  EXPECT_FALSE(Health().frozen);
  EXPECT_EQ(Health().frozen_at, std::nullopt);
  EXPECT_EQ(Health().frozen_by, "");
}

TEST_P(HealthLedgerContract, SaysThatConsumersOfClaimQueuesRest) {
  EXPECT_FALSE(Health().claims_paused);
  ASSERT_TRUE(stock().SetClaimsPaused(true, "alice").ok());
  EXPECT_TRUE(Health().claims_paused);
  ASSERT_TRUE(stock().SetClaimsPaused(false, "alice").ok());
  EXPECT_FALSE(Health().claims_paused);
}

TEST_P(HealthLedgerContract, IncarnationsThatDoNotServeAreToldWhileTheyMatter) {
  Create(SkuOf("tv", 10));
  const IncarnationId serves = HolderOf("tv", 4);
  const IncarnationId gone = HolderOf("tv", 5);
  EXPECT_THAT(Gone({serves, gone}), IsEmpty());
  ASSERT_EQ(Gone({serves}).size(), 1U);
  GoneIncarnation told = Gone({serves}).front();
  EXPECT_EQ(told.id, gone);
  EXPECT_EQ(told.node_name, "node");
  EXPECT_EQ(told.units, 5);
  EXPECT_FALSE(told.ended_at.has_value());
  ASSERT_TRUE(stock().ReclaimIncarnation(gone).ok());
  ASSERT_EQ(Gone({serves}).size(), 1U);
  told = Gone({serves}).front();
  EXPECT_TRUE(told.ended_at.has_value());
  EXPECT_EQ(told.units, 0);
  EXPECT_EQ(Health().stranded_units, 0);
}

}  // namespace
}  // namespace tranche::storage
