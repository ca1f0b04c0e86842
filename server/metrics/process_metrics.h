// What every process says about itself: the names that Prometheus' own clients use, and which build it is.
#pragma once

#include "server/metrics/metric_set.h"
#include "server/process/served_certificates.h"

namespace tranche::server {

class ProcessMetrics final : public MetricSource {
 public:
  // `certificates` may be null: there are none.
  explicit ProcessMetrics(ServedCertificates* certificates) : certificates_(certificates) {}

  void Collect(MetricSet* metrics) override;

 private:
  ServedCertificates* const certificates_;
};

}  // namespace tranche::server
