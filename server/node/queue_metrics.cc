#include "server/node/queue_metrics.h"

#include "server/queue/claim_queue.h"

namespace tranche::server {
namespace {

void AddClaims(const char* outcome, const Counter& counter, MetricSet* metrics) {
  metrics->AddCounter("tranche_queue_claims_total",
                      "Claims and carts that were to be queued: queued, full, unavailable (the broker took none), or "
                      "unknown (no confirm came).",
                      static_cast<double>(counter.value()), {{"outcome", outcome}});
}

}  // namespace

void AddQueueMetrics(const IntakeCounts& counts, const QueueDepths& depths, bool up, MetricSet* metrics) {
  AddClaims("queued", counts.queued, metrics);
  AddClaims("full", counts.full, metrics);
  AddClaims("unavailable", counts.unavailable, metrics);
  AddClaims("unknown", counts.unknown, metrics);
  metrics->AddGauge("tranche_queue_up", "1 while the broker takes claims of this node.", up ? 1 : 0);
  metrics->AddHistogram("tranche_queue_publish_seconds", "Time until the broker has confirmed a claim.",
                        counts.publish_s.values());
  for (const QueueDepths::Known& known : depths.All()) {
    const MetricLabels labels = {{"queue", known.depth.queue}};
    metrics->AddGauge("tranche_queue_depth", "Claims in the queue that no consumer has taken.",
                      static_cast<double>(known.depth.ready), labels);
    metrics->AddGauge("tranche_queue_consumers", "Consumers that take from the queue.",
                      static_cast<double>(known.depth.consumers), labels);
    metrics->AddGauge("tranche_queue_dead", "Claims of the queue that could not be decided.",
                      static_cast<double>(known.depth.dead), labels);
  }
}

}  // namespace tranche::server
