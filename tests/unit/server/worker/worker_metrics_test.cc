// What a worker process says of its shards, and when it is ready.
#include "server/worker/worker_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/fake/fake_outbox.h"
#include "tests/support/scripted_groups.h"
#include "tests/unit/server/metrics/metric_values.h"

namespace tranche::server {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Optional;
using ::testing::StartsWith;

// Answers as the test says.
class ToldUpkeep : public storage::UpkeepLedger {
 public:
  absl::StatusOr<storage::ExpiredHolds> ExpireDue(int limit) override { return holds; }
  absl::StatusOr<storage::RemindedHolds> RemindHolds(absl::Duration within, int limit) override {
    return storage::RemindedHolds{};
  }
  absl::StatusOr<int64_t> RetireReservations(absl::Duration age, int limit, storage::Retired retired) override {
    return old;
  }
  absl::StatusOr<int64_t> RetireAudit(absl::Duration age, int limit, absl::Time now) override { return 0; }

  absl::StatusOr<storage::ExpiredHolds> holds = storage::ExpiredHolds{.expired = 3, .until_next = absl::Hours(1)};
  absl::StatusOr<int64_t> old = 4;
};

// Takes all, or nothing.
class ToldSink : public Sink {
 public:
  const std::string& name() const override { return name_; }
  std::vector<Delivery> Deliver(absl::Span<const storage::OutboxMessage> batch,
                                absl::FunctionRef<bool()> may_begin) override {
    return std::vector<Delivery>(batch.size(), answer);
  }

  Delivery answer{DeliveryOutcome::kDelivered, ""};

 private:
  const std::string name_ = "default";
};

double HalfWay() { return 0.5; }

class WorkerMetricsTest : public ::testing::Test {
 protected:
  void Join(const Expirer* expirer, const std::string& shard = "home") {
    joined_ = metrics_.Join({.shard = shard,
                             .expirer = expirer,
                             .group_expirer = expirer == nullptr ? nullptr : &group_expirer_,
                             .retirer = &retirer_,
                             .group_retirer = &group_retirer_,
                             .relays = {&relay_},
                             .ledger_up = [this] { return ledger_up_; }});
  }
  std::string WhyNotReady() { return std::string(metrics_.Ready().message()); }
  std::optional<double> Value(const std::string& name, MetricLabels more = {}) {
    more.emplace_back("shard", "home");
    return MetricValues(metrics_).Of(name, more);
  }
  std::optional<double> OfSink(const std::string& name, MetricLabels more = {}) {
    more.emplace_back("sink", "default");
    return Value(name, std::move(more));
  }
  void Write(uint8_t number) {
    storage::Reservation row;
    row.reservation_id.bytes[15] = number;
    row.sku_id = "tv";
    row.revision = 2;
    outbox_.Write("reservation.confirmed", row, {});
  }

  storage::FakeClock clock_;
  ToldUpkeep upkeep_;
  tranche::testing::ScriptedGroups groups_{&clock_};
  storage::FakeOutbox outbox_{&clock_};
  ToldSink sink_;
  Expirer expirer_{&upkeep_, &clock_, HalfWay, {}};
  GroupExpirer group_expirer_{&groups_, &clock_, HalfWay, {}};
  GroupRetirer group_retirer_{&groups_, &clock_, HalfWay, {}};
  Retirer retirer_{&upkeep_, &clock_, HalfWay, {.retired = storage::Retired::kDrop}};
  SinkRelay relay_{&outbox_, &sink_, &clock_, HalfWay, {}};
  bool ledger_up_ = false;
  WorkerMetrics metrics_{&clock_};
  std::unique_ptr<WorkerMetrics::Membership> joined_;
};

TEST_F(WorkerMetricsTest, ReadyWhileHoldsAtHomeExpire) {
  EXPECT_THAT(WhyNotReady(), HasSubstr("starting"));
  Join(&expirer_);
  EXPECT_THAT(WhyNotReady(), HasSubstr("no round of expiry has succeeded yet"));
  expirer_.Step();
  EXPECT_TRUE(metrics_.Ready().ok()) << metrics_.Ready();
  upkeep_.holds = absl::UnavailableError("gone");
  clock_.AdvanceBy(absl::Seconds(29));
  expirer_.Step();
  EXPECT_TRUE(metrics_.Ready().ok()) << metrics_.Ready();
  clock_.AdvanceBy(absl::Seconds(1));
  EXPECT_THAT(WhyNotReady(), HasSubstr("succeeded ended 30s ago"));
  upkeep_.holds = storage::ExpiredHolds();
  expirer_.Step();
  EXPECT_TRUE(metrics_.Ready().ok()) << metrics_.Ready();
  joined_.reset();
  EXPECT_FALSE(metrics_.Ready().ok());
}

TEST_F(WorkerMetricsTest, WhoExpiresNothingNeedsHomesDatabase) {
  Join(nullptr);
  EXPECT_THAT(WhyNotReady(), HasSubstr("database"));
  ledger_up_ = true;
  EXPECT_TRUE(metrics_.Ready().ok()) << metrics_.Ready();
  EXPECT_THAT(MetricValues(metrics_).Names(), Not(Contains(StartsWith("tranche_expiry"))));
  EXPECT_THAT(MetricValues(metrics_).Names(), Not(Contains("tranche_groups_ended_total")));
}

TEST_F(WorkerMetricsTest, OneThatEndsIsNotReady) {
  Join(&expirer_);
  expirer_.Step();
  EXPECT_TRUE(metrics_.Ready().ok()) << metrics_.Ready();
  metrics_.NoteStopping();
  EXPECT_THAT(WhyNotReady(), HasSubstr("this process ends"));
}

TEST_F(WorkerMetricsTest, AnotherShardMakesNobodyReady) {
  Join(&expirer_, "hot");
  expirer_.Step();
  EXPECT_THAT(WhyNotReady(), HasSubstr("starting"));
}

TEST_F(WorkerMetricsTest, HoldsAndOldReservations) {
  Join(&expirer_);
  clock_.AdvanceBy(absl::Seconds(2));
  EXPECT_THAT(Value("tranche_expiry_seconds_since_round"), Optional(2)) << "none has succeeded";
  expirer_.Step();
  expirer_.Step();
  EXPECT_THAT(Value("tranche_holds_expired_total"), Optional(6));
  EXPECT_THAT(Value("tranche_expiry_rounds_total", {{"outcome", "done"}}), Optional(2));
  EXPECT_THAT(Value("tranche_expiry_rounds_total", {{"outcome", "failed"}}), Optional(0));
  EXPECT_THAT(Value("tranche_expiry_seconds_since_round"), Optional(0));
  retirer_.Step();
  EXPECT_THAT(Value("tranche_reservations_retired_total", {{"kept", "dropped"}}), Optional(4));
}

TEST_F(WorkerMetricsTest, Groups) {
  Join(&expirer_);
  EXPECT_THAT(Value("tranche_groups_late_seconds"), Optional(0)) << "nothing is known";
  groups_.expired = {storage::ExpiredGroups{.filled = 1, .failed = 2, .ended = 9, .until_next = absl::Seconds(3)}};
  group_expirer_.Step();
  EXPECT_THAT(Value("tranche_groups_ended_total", {{"outcome", "filled"}}), Optional(1));
  EXPECT_THAT(Value("tranche_groups_ended_total", {{"outcome", "failed"}}), Optional(2));
  EXPECT_THAT(Value("tranche_group_holds_ended_total"), Optional(9));
  EXPECT_THAT(Value("tranche_groups_late_seconds"), Optional(0));
  clock_.AdvanceBy(absl::Seconds(5));
  EXPECT_THAT(Value("tranche_groups_late_seconds"), Optional(2));
  groups_.expired = {storage::ExpiredGroups{.more = true, .until_next = -absl::Seconds(40)}};
  group_expirer_.Step();
  EXPECT_THAT(Value("tranche_groups_late_seconds"), Optional(40)) << "it is locked, or there are many";
  groups_.expired = {storage::ExpiredGroups{.settled = 1, .more = true, .until_next = absl::Hours(1)}};
  group_expirer_.Step();
  EXPECT_THAT(Value("tranche_groups_late_seconds"), Optional(0)) << "what is over is only to be settled";
  groups_.expired = {storage::ExpiredGroups{}};
  group_expirer_.Step();
  EXPECT_THAT(Value("tranche_groups_late_seconds"), Optional(0)) << "no group forms";
  groups_.retired = {4};
  group_retirer_.Step();
  EXPECT_THAT(Value("tranche_groups_retired_total"), Optional(4));
}

TEST_F(WorkerMetricsTest, Deliveries) {
  Join(&expirer_);
  Write(1);
  relay_.Step();
  EXPECT_THAT(OfSink("tranche_deliveries_total", {{"outcome", "delivered"}}), Optional(1));
  EXPECT_THAT(OfSink("tranche_deliveries_total", {{"outcome", "retried"}}), Optional(0));
  EXPECT_THAT(OfSink("tranche_delivery_seconds"), Optional(1));
  EXPECT_THAT(OfSink("tranche_delivery_delay_seconds"), Optional(1));
  EXPECT_THAT(OfSink("tranche_delivery_results_lost_total"), Optional(0));
  EXPECT_THAT(OfSink("tranche_sink_healthy"), Optional(1));
  sink_.answer = {DeliveryOutcome::kSinkFailed, "refused"};
  for (uint8_t number = 2; number < 10; ++number) Write(number);
  for (int i = 0; i < 10; ++i) clock_.AdvanceBy(relay_.Step());
  EXPECT_THAT(OfSink("tranche_sink_healthy"), Optional(0));
  EXPECT_THAT(OfSink("tranche_deliveries_total", {{"outcome", "retried"}}), Optional(::testing::Ge(2)));
}

}  // namespace
}  // namespace tranche::server
