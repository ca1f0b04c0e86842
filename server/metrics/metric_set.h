// What one look at a process's metrics has found.
#pragma once

#include <prometheus/metric_family.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "storage/base/histogram.h"

namespace tranche::server {

using MetricLabels = std::vector<std::pair<std::string, std::string>>;

// Not thread-safe. A name keeps the help and the type that it was first given.
class MetricSet {
 public:
  // `name` ends in _total; counters only grow.
  void AddCounter(absl::string_view name, absl::string_view help, double value, const MetricLabels& labels = {});
  void AddGauge(absl::string_view name, absl::string_view help, double value, const MetricLabels& labels = {});
  void AddHistogram(absl::string_view name, absl::string_view help, const HistogramValues& values,
                    const MetricLabels& labels = {});

  // By name. Leaves the set empty.
  std::vector<prometheus::MetricFamily> Take();

 private:
  prometheus::ClientMetric& Add(absl::string_view name, absl::string_view help, prometheus::MetricType type,
                                const MetricLabels& labels);

  std::map<std::string, prometheus::MetricFamily, std::less<>> families_;
};

// A part of the process that has metrics.
class MetricSource {
 public:
  virtual ~MetricSource() = default;
  // Adds what it has now. Called by one thread at a time, within a scrape: must not wait for a ledger or for ZooKeeper.
  virtual void Collect(MetricSet* metrics) = 0;
};

}  // namespace tranche::server
