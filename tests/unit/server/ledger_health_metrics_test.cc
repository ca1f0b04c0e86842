#include "server/metrics/ledger_health_metrics.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "storage/fake/fake_ledger.h"
#include "tests/support/scripted_groups.h"

namespace tranche::server {
namespace {

// "name{label=value,...}" to value.
std::map<std::string, double> Collected(LedgerHealthMetrics& metrics) {
  MetricSet set;
  metrics.Collect(&set);
  std::map<std::string, double> values;
  for (const prometheus::MetricFamily& family : set.Take()) {
    for (const prometheus::ClientMetric& metric : family.metric) {
      std::string labels;
      for (const auto& label : metric.label)
        absl::StrAppend(&labels, labels.empty() ? "" : ",", label.name, "=", label.value);
      values[absl::StrCat(family.name, "{", labels, "}")] = metric.gauge.value;
    }
  }
  return values;
}

TEST(LedgerHealthMetricsTest, TellWhatWasReadLastAndHowOldItIs) {
  storage::FakeClock clock;
  storage::FakeOutbox outbox(&clock);
  storage::FakeLedger ledger(&clock, &outbox);
  tranche::testing::ScriptedGroups groups(&clock);
  LedgerHealthMetrics metrics(&clock);
  EXPECT_TRUE(Collected(metrics).empty()) << "nothing is known";

  storage::Heartbeat worker;
  worker.name = "w";
  worker.version = "1";
  ASSERT_TRUE(ledger.Beat(worker).ok());
  ASSERT_TRUE(ledger.SetClusterFrozen(true, "test").ok());
  storage::Sku tv{.sku_id = "tv", .title = "", .price_minor = 1, .currency = "EUR", .stock = 1};
  tv.paused = true;
  ASSERT_TRUE(ledger.CreateSku(tv, "test").ok());
  groups.counts = storage::GroupCounts{.forming = 40, .overdue = 2};
  clock.AdvanceBy(absl::Seconds(4));
  metrics.Look("hot", ledger, groups);
  clock.AdvanceBy(absl::Seconds(3));
  std::map<std::string, double> values = Collected(metrics);
  EXPECT_EQ(values["tranche_ledger_health_read_age_seconds{shard=hot}"], 3);
  EXPECT_EQ(values["tranche_heartbeat_age_seconds{kind=worker,shard=hot}"], 7);
  EXPECT_FALSE(values.contains("tranche_heartbeat_age_seconds{kind=balancer,shard=hot}"));
  EXPECT_EQ(values["tranche_outbox_messages{shard=hot,sink=default,state=dead}"], 0);
  EXPECT_TRUE(values.contains("tranche_holds_overdue{shard=hot}"));
  EXPECT_TRUE(values.contains("tranche_postgres_standbys_needed{shard=hot}"));
  EXPECT_EQ(values["tranche_cluster_frozen{shard=hot}"], 1);
  EXPECT_EQ(values["tranche_skus_paused{shard=hot}"], 1);
  EXPECT_EQ(values["tranche_groups_forming{shard=hot}"], 40);
  EXPECT_EQ(values["tranche_groups_overdue{shard=hot}"], 2);

  ledger.FailNext(1);
  metrics.Look("hot", ledger, groups);
  EXPECT_EQ(Collected(metrics)["tranche_ledger_health_read_age_seconds{shard=hot}"], 3) << "it gets older";
  groups.counts = absl::UnavailableError("gone");
  metrics.Look("hot", ledger, groups);
  values = Collected(metrics);
  EXPECT_EQ(values["tranche_ledger_health_read_age_seconds{shard=hot}"], 0) << "all else is told without groups";
  EXPECT_TRUE(values.contains("tranche_holds_overdue{shard=hot}"));
  EXPECT_FALSE(values.contains("tranche_groups_overdue{shard=hot}")) << "nobody knows";
  metrics.Forget("hot");
  EXPECT_TRUE(Collected(metrics).empty());
}

}  // namespace
}  // namespace tranche::server
