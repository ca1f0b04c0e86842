// Latencies in log-linear buckets: constant memory, at most 0.8 % error, and recording from many threads costs one
// atomic increment.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <vector>

namespace tranche::load {

// Values are microseconds from 0 to about 19 hours; larger ones count as the largest. Record() is thread-safe; the
// readers give a consistent picture only when nobody records.
class Histogram {
 public:
  // A bucket with values in it, by its number.
  struct Bucket {
    int number = 0;
    uint64_t count = 0;
  };
  // All that was recorded. Two histograms with the same contents are the same.
  struct Contents {
    std::vector<Bucket> buckets = {};  // in the order of their numbers
    uint64_t max_us = 0;
    uint64_t sum_us = 0;
  };

  // Buckets have numbers below this.
  static constexpr int Buckets() { return kBuckets; }
  // The largest value of the bucket of this number.
  static uint64_t UpperEnd(int bucket);

  void Record(uint64_t value_us);

  uint64_t count() const;
  uint64_t max_us() const { return max_us_.load(std::memory_order_relaxed); }
  double mean_us() const;
  // The smallest bucket bound that at least a part `quantile` (0 to 1) of the values do not exceed; never above
  // max_us(). 0 when empty.
  uint64_t ValueAt(double quantile) const;
  // How many values are at most this, to within a bucket.
  uint64_t CountUpTo(uint64_t value_us) const;
  Contents contents() const;
  // As if all that was recorded elsewhere had been recorded here, exactly. Every number is below Buckets().
  void Add(const Contents& contents);

 private:
  // Values below 128 have a bucket each; above, every power of two is divided into 128.
  static constexpr int kSubBits = 7;
  static constexpr int kSubBuckets = 1 << kSubBits;
  static constexpr int kMaxExponent = 36;
  static constexpr int kBuckets = (kMaxExponent - kSubBits + 1) * kSubBuckets;

  static int BucketOf(uint64_t value);
  void RaiseMaxTo(uint64_t value_us);

  std::array<std::atomic<uint64_t>, kBuckets> buckets_{};
  std::atomic<uint64_t> max_us_{0};
  std::atomic<uint64_t> sum_us_{0};
};

}  // namespace tranche::load
