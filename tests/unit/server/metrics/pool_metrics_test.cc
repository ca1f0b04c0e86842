// What is said of a pool of connections; tests/contract/postgres_outage_test.cc says what a pool counts.
#include "server/metrics/pool_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/server/metrics/metric_values.h"

namespace tranche::server {
namespace {

using ::testing::IsEmpty;
using ::testing::Optional;

TEST(PoolMetricsTest, APoolIsShownWhileItExists) {
  PoolMetrics metrics("worker");
  const storage::ConnectionPool home({.dsn = "host=nobody.invalid", .max_connections = 3});  // never used
  const storage::ConnectionPool hot({.dsn = "host=nobody.invalid", .max_connections = 4});
  auto shown = metrics.Join({.shard = "home", .pool = &home});
  auto other = metrics.Join({.shard = "hot", .pool = &hot});
  const MetricLabels of_home = {{"shard", "home"}, {"pool", "worker"}};
  const MetricLabels of_hot = {{"shard", "hot"}, {"pool", "worker"}};
  const MetricValues values(metrics);
  EXPECT_THAT(values.Of("tranche_connections_limit", of_home), Optional(3));
  EXPECT_THAT(values.Of("tranche_connections_limit", of_hot), Optional(4));
  EXPECT_THAT(values.Of("tranche_ledger_up", {{"shard", "home"}}), Optional(0)) << "nobody has used it";
  for (const char* state : {"used", "idle"}) {
    EXPECT_THAT(values.Of("tranche_connections", {{"shard", "home"}, {"pool", "worker"}, {"state", state}}),
                Optional(0));
  }
  other.reset();
  EXPECT_EQ(MetricValues(metrics).Of("tranche_connections_limit", of_hot), std::nullopt);
  shown.reset();
  EXPECT_THAT(MetricValues(metrics).Names(), IsEmpty());
}

}  // namespace
}  // namespace tranche::server
