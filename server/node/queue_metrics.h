// A front node's metrics about claims that it queues.
#pragma once

#include "server/metrics/metric_set.h"
#include "server/queue/queue_depths.h"
#include "server/queue/queue_intake.h"

namespace tranche::server {

// `up`: does the broker take messages?
void AddQueueMetrics(const IntakeCounts& counts, const QueueDepths& depths, bool up, MetricSet* metrics);

}  // namespace tranche::server
