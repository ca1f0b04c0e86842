// How values are distributed over buckets, as Prometheus counts them.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace tranche {

struct HistogramValues {
  std::vector<double> bounds;   // upper ones, inclusive, ascending
  std::vector<int64_t> counts;  // of each bucket by itself; one more than bounds: what is above them
  double sum = 0;
};

// Thread-safe; takes no lock. For what happens once in a batch or call, not once in a claim: threads share its lines.
class Histogram {
 public:
  // `bounds`: ascending.
  explicit Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}

  void Observe(double value) {
    const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
    counts_[static_cast<size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
    double sum = sum_.load(std::memory_order_relaxed);
    while (!sum_.compare_exchange_weak(sum, sum + value, std::memory_order_relaxed)) {
    }
  }
  // In seconds.
  void Observe(absl::Duration duration) { Observe(absl::ToDoubleSeconds(duration)); }

  HistogramValues values() const {
    HistogramValues values{.bounds = bounds_, .counts = {}, .sum = sum_.load(std::memory_order_relaxed)};
    for (const std::atomic<int64_t>& count : counts_) values.counts.push_back(count.load(std::memory_order_relaxed));
    return values;
  }

 private:
  const std::vector<double> bounds_;
  std::vector<std::atomic<int64_t>> counts_;
  std::atomic<double> sum_{0};
};

// Bounds for latencies, in seconds: from a claim that meets no wait to a statement that takes as long as it may.
inline std::vector<double> LatencyBounds() {
  return {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
}
// Bounds for numbers of items.
inline std::vector<double> SizeBounds() { return {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}; }

}  // namespace tranche
