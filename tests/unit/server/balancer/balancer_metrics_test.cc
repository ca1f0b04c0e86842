// What a balancer process says of its shards, and when it is ready.
#include "server/balancer/balancer_metrics.h"

#include <gmock/gmock.h>

#include <memory>
#include <optional>
#include <string>

#include "tests/unit/quota/balancer_fixture.h"
#include "tests/unit/server/metrics/metric_values.h"

namespace tranche::server {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Optional;

class BalancerMetricsTest : public quota::BalancerTest {
 protected:
  void Join(const std::string& shard = "home") { joined_ = metrics_.Join({.shard = shard, .balancer = &balancer_}); }
  std::string WhyNotReady() { return std::string(metrics_.Ready().message()); }
  std::optional<double> Value(const std::string& name, MetricLabels more = {}) {
    more.emplace_back("shard", "home");
    return MetricValues(metrics_).Of(name, more);
  }

  BalancerMetrics metrics_{&clock_};
  std::unique_ptr<BalancerMetrics::Membership> joined_;
};

TEST_F(BalancerMetricsTest, ReadyWhileRoundsAtHomeSucceedAndZooKeeperAnswers) {
  EXPECT_THAT(WhyNotReady(), HasSubstr("starting"));
  Join();
  EXPECT_THAT(WhyNotReady(), HasSubstr("no round of balancing has succeeded yet"));
  Round();
  EXPECT_TRUE(metrics_.Ready().ok()) << metrics_.Ready();
  clock_.AdvanceBy(absl::Seconds(9));
  EXPECT_TRUE(metrics_.Ready().ok()) << metrics_.Ready();
  ledger_.FailNext(1000);
  EXPECT_FALSE(balancer_.RunOnce().ok());
  clock_.AdvanceBy(absl::Seconds(1));
  EXPECT_THAT(WhyNotReady(), HasSubstr("succeeded ended 10s ago"));
  ledger_.FailNext(0);
  Round();
  EXPECT_TRUE(metrics_.Ready().ok()) << metrics_.Ready();
  zookeeper_.SetDown(true);
  EXPECT_THAT(WhyNotReady(), HasSubstr("ZooKeeper"));
  zookeeper_.SetDown(false);
  Round();
  EXPECT_TRUE(metrics_.Ready().ok()) << metrics_.Ready();
  joined_.reset();
  EXPECT_FALSE(metrics_.Ready().ok());
}

TEST_F(BalancerMetricsTest, AnotherShardMakesNobodyReady) {
  Join("hot");
  Round();
  EXPECT_THAT(WhyNotReady(), HasSubstr("starting"));
}

TEST_F(BalancerMetricsTest, WhatALeaderTells) {
  CreateSku(10);
  const quota::Node a = AddNode(), b = AddNode();
  Join();
  Rounds();
  EXPECT_THAT(Value("tranche_balancer_leads"), Optional(1));
  EXPECT_THAT(Value("tranche_balancer_rounds_total", {{"outcome", "led"}}), Optional(::testing::Ge(1)));
  EXPECT_THAT(Value("tranche_balancer_rounds_total", {{"outcome", "failed"}}), Optional(0));
  EXPECT_THAT(Value("tranche_balancer_round_seconds"), Optional(::testing::Ge(1)));
  EXPECT_THAT(Value("tranche_moves_total", {{"reason", "pool"}}), Optional(1));
  EXPECT_THAT(Value("tranche_units_moved_total", {{"reason", "pool"}}), Optional(10));
  EXPECT_THAT(Value("tranche_units_moved_total", {{"reason", "demand"}}), Optional(0));
  EXPECT_THAT(Value("tranche_announcement_seconds"), Optional(1));
  EXPECT_THAT(Value("tranche_nodes"), Optional(2));
  EXPECT_THAT(Value("tranche_nodes_registered"), Optional(2));
  EXPECT_THAT(Value("tranche_nodes_receiving"), Optional(2));
  EXPECT_THAT(Value("tranche_nodes_gone"), Optional(0));
  EXPECT_THAT(Value("tranche_incarnations_reclaimed_total", {{"evidence", "session"}}), Optional(0));
  EXPECT_THAT(Value("tranche_zookeeper_up"), Optional(1));
  zookeeper_.ExpireSession(b.session->SessionId());
  clock_.AdvanceBy(options_.refresh_interval);
  Rounds();
  EXPECT_THAT(Value("tranche_incarnations_reclaimed_total", {{"evidence", "session"}}), Optional(1));
  EXPECT_THAT(Value("tranche_slices_reclaimed_total"), Optional(1));
  EXPECT_THAT(Value("tranche_units_reclaimed_total"), Optional(5));
  EXPECT_THAT(Value("tranche_nodes"), Optional(1));
  EXPECT_EQ(Left(a.id), 10);
  EXPECT_THAT(MetricValues(metrics_).Names(), Not(Contains(HasSubstr("probe")))) << "it has none";
}

// Else the nodes of a leader that has lost the election would be shown for ever.
TEST_F(BalancerMetricsTest, WhoStandsByTellsOfNoNodes) {
  const quota::Node node = AddNode();
  quota::Balancer other(&connector_, &ledger_, &clock_, options_);
  ASSERT_TRUE(other.Connect().ok());
  ASSERT_TRUE(other.RunOnce().ok());
  Join();
  Rounds();
  EXPECT_THAT(Value("tranche_balancer_leads"), Optional(0));
  EXPECT_THAT(Value("tranche_balancer_rounds_total", {{"outcome", "stood_by"}}), Optional(::testing::Ge(1)));
  EXPECT_EQ(Value("tranche_nodes"), std::nullopt);
  EXPECT_EQ(Value("tranche_skus_put_aside"), std::nullopt);
}

TEST_F(BalancerMetricsTest, TheTimeSinceARoundBeginsWithTheBalancer) {
  clock_.AdvanceBy(absl::Seconds(100));
  Join();
  clock_.AdvanceBy(absl::Seconds(3));
  EXPECT_THAT(Value("tranche_balancer_seconds_since_round"), Optional(3)) << "none has succeeded";
  Round();
  EXPECT_THAT(Value("tranche_balancer_seconds_since_round"), Optional(0));
  clock_.AdvanceBy(absl::Seconds(2));
  EXPECT_THAT(Value("tranche_balancer_seconds_since_round"), Optional(2));
}

TEST_F(BalancerMetricsTest, WhatHasGoneIsNotShown) {
  Join();
  EXPECT_THAT(MetricValues(metrics_).Names(), Contains("tranche_balancer_leads"));
  joined_.reset();
  EXPECT_THAT(MetricValues(metrics_).Names(), ::testing::IsEmpty());
}

}  // namespace
}  // namespace tranche::server
