#include "server/metrics/metric_set.h"

#include <cstddef>

namespace tranche::server {

void MetricSet::AddCounter(absl::string_view name, absl::string_view help, double value, const MetricLabels& labels) {
  Add(name, help, prometheus::MetricType::Counter, labels).counter.value = value;
}

void MetricSet::AddGauge(absl::string_view name, absl::string_view help, double value, const MetricLabels& labels) {
  Add(name, help, prometheus::MetricType::Gauge, labels).gauge.value = value;
}

void MetricSet::AddHistogram(absl::string_view name, absl::string_view help, const HistogramValues& values,
                             const MetricLabels& labels) {
  prometheus::ClientMetric::Histogram& histogram = Add(name, help, prometheus::MetricType::Histogram, labels).histogram;
  std::uint64_t count = 0;
  for (size_t i = 0; i < values.bounds.size(); ++i) {
    count += static_cast<std::uint64_t>(values.counts[i]);
    histogram.bucket.push_back({count, values.bounds[i]});
  }
  // Counted from the buckets: a value that comes meanwhile must not be in one number and missing in the other.
  histogram.sample_count = count + static_cast<std::uint64_t>(values.counts.back());
  histogram.sample_sum = values.sum;
}

std::vector<prometheus::MetricFamily> MetricSet::Take() {
  std::vector<prometheus::MetricFamily> families;
  for (auto& [name, family] : std::exchange(families_, {})) families.push_back(std::move(family));
  return families;
}

prometheus::ClientMetric& MetricSet::Add(absl::string_view name, absl::string_view help, prometheus::MetricType type,
                                         const MetricLabels& labels) {
  auto found = families_.find(name);
  if (found == families_.end()) {
    prometheus::MetricFamily family{std::string(name), std::string(help), type, {}};
    found = families_.emplace(std::string(name), std::move(family)).first;
  }
  prometheus::ClientMetric& metric = found->second.metric.emplace_back();
  for (const auto& [label, value] : labels) metric.label.push_back({label, value});
  return metric;
}

}  // namespace tranche::server
