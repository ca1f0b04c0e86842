// What a node shows of claims that it queues.
#include "server/node/queue_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/server/metrics/metric_values.h"
#include "tests/unit/server/queue/scripted_queue_admin.h"

namespace tranche::server {
namespace {

using ::testing::ElementsAre;
using ::testing::Optional;

class QueueMetricsTest : public ::testing::Test, private MetricSource {
 protected:
  MetricValues Shown() { return MetricValues(*this); }

  storage::FakeClock clock_;
  ScriptedQueueAdmin admin_;
  QueueDepths depths_{&admin_, &clock_};
  IntakeCounts counts_;
  bool up_ = true;

 private:
  void Collect(MetricSet* metrics) override { AddQueueMetrics(counts_, depths_, up_, metrics); }
};

TEST_F(QueueMetricsTest, QueuesAppearOnceTheBrokerHasToldOfThem) {
  EXPECT_THAT(Shown().Names(),
              ElementsAre("tranche_queue_claims_total", "tranche_queue_publish_seconds", "tranche_queue_up"));
  admin_.ready["q"] = 7;
  depths_.Poll({"q"});
  const MetricValues shown = Shown();
  EXPECT_THAT(shown.Of("tranche_queue_depth", {{"queue", "q"}}), Optional(7));
  EXPECT_THAT(shown.Of("tranche_queue_consumers", {{"queue", "q"}}), Optional(1));
  EXPECT_THAT(shown.Of("tranche_queue_dead", {{"queue", "q"}}), Optional(2));
}

TEST_F(QueueMetricsTest, ClaimsAreCountedByWhatBecameOfThem) {
  counts_.queued.Add(4);
  counts_.full.Add(3);
  counts_.unavailable.Add(2);
  counts_.unknown.Add();
  counts_.publish_s.Observe(absl::Milliseconds(3));
  up_ = false;
  const MetricValues shown = Shown();
  EXPECT_THAT(shown.Of("tranche_queue_claims_total", {{"outcome", "queued"}}), Optional(4));
  EXPECT_THAT(shown.Of("tranche_queue_claims_total", {{"outcome", "full"}}), Optional(3));
  EXPECT_THAT(shown.Of("tranche_queue_claims_total", {{"outcome", "unavailable"}}), Optional(2));
  EXPECT_THAT(shown.Of("tranche_queue_claims_total", {{"outcome", "unknown"}}), Optional(1));
  EXPECT_THAT(shown.Of("tranche_queue_publish_seconds", {}), Optional(1));
  EXPECT_THAT(shown.Of("tranche_queue_up", {}), Optional(0));
}

}  // namespace
}  // namespace tranche::server
