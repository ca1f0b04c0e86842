// Latencies in log-linear buckets: constant memory, at most 0.8 % error, and recording from many threads costs one
// atomic increment.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

namespace tranche::load {

// Values are microseconds from 0 to about 19 hours; larger ones count as the largest. Record() is thread-safe; the
// readers give a consistent picture only when nobody records.
class Histogram {
 public:
  void Record(uint64_t value_us);

  uint64_t count() const;
  uint64_t max_us() const { return max_us_.load(std::memory_order_relaxed); }
  double mean_us() const;
  // The smallest bucket bound that at least a part `quantile` (0 to 1) of the values do not exceed; never above
  // max_us(). 0 when empty.
  uint64_t ValueAt(double quantile) const;
  // How many values are at most this, to within a bucket.
  uint64_t CountUpTo(uint64_t value_us) const;

 private:
  // Values below 128 have a bucket each; above, every power of two is divided into 128.
  static constexpr int kSubBits = 7;
  static constexpr int kSubBuckets = 1 << kSubBits;
  static constexpr int kMaxExponent = 36;
  static constexpr int kBuckets = (kMaxExponent - kSubBits + 1) * kSubBuckets;

  static int BucketOf(uint64_t value);
  static uint64_t UpperEnd(int bucket);

  std::array<std::atomic<uint64_t>, kBuckets> buckets_{};
  std::atomic<uint64_t> max_us_{0};
  std::atomic<uint64_t> sum_us_{0};
};

}  // namespace tranche::load
