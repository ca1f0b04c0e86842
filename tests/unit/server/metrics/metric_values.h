// Reads what metric sources have collected.
#pragma once

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "server/metrics/metric_set.h"

namespace tranche::server {

class MetricValues {
 public:
  explicit MetricValues(MetricSource& source) {
    MetricSet set;
    source.Collect(&set);
    families_ = set.Take();
  }

  // A counter's or a gauge's value, or how often a histogram was told something; nothing if there is no such metric.
  // `labels`: all that it has, in any order.
  std::optional<double> Of(const std::string& name, MetricLabels labels) const {
    std::sort(labels.begin(), labels.end());
    for (const prometheus::MetricFamily& family : families_) {
      if (family.name != name) continue;
      for (const prometheus::ClientMetric& metric : family.metric) {
        if (LabelsOf(metric) == labels) return ValueOf(family.type, metric);
      }
    }
    return std::nullopt;
  }

  std::set<std::string> Names() const {
    std::set<std::string> names;
    for (const prometheus::MetricFamily& family : families_) names.insert(family.name);
    return names;
  }

 private:
  static MetricLabels LabelsOf(const prometheus::ClientMetric& metric) {
    MetricLabels labels;
    for (const auto& label : metric.label) labels.emplace_back(label.name, label.value);
    std::sort(labels.begin(), labels.end());
    return labels;
  }
  static double ValueOf(prometheus::MetricType type, const prometheus::ClientMetric& metric) {
    if (type == prometheus::MetricType::Counter) return metric.counter.value;
    if (type == prometheus::MetricType::Gauge) return metric.gauge.value;
    return static_cast<double>(metric.histogram.sample_count);
  }

  std::vector<prometheus::MetricFamily> families_;
};

}  // namespace tranche::server
