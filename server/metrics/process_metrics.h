// What every process says about itself: the names that Prometheus' own clients use, and which build it is.
#pragma once

#include "server/metrics/metric_set.h"

namespace tranche::server {

class ProcessMetrics final : public MetricSource {
 public:
  void Collect(MetricSet* metrics) override;
};

}  // namespace tranche::server
