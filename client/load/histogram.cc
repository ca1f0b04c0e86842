#include "client/load/histogram.h"

#include <algorithm>
#include <cmath>

namespace tranche::load {

int Histogram::BucketOf(uint64_t value) {
  value = std::min(value, (uint64_t{1} << kMaxExponent) - 1);
  if (value < kSubBuckets) return static_cast<int>(value);
  const int exponent = std::bit_width(value) - 1;  // >= kSubBits
  const int sub = static_cast<int>(value >> (exponent - kSubBits)) - kSubBuckets;
  return (exponent - kSubBits + 1) * kSubBuckets + sub;
}

uint64_t Histogram::UpperEnd(int bucket) {
  if (bucket < kSubBuckets) return static_cast<uint64_t>(bucket);
  const int shift = bucket / kSubBuckets - 1;
  const uint64_t first = static_cast<uint64_t>(bucket % kSubBuckets + kSubBuckets) << shift;
  return first + (uint64_t{1} << shift) - 1;
}

void Histogram::Record(uint64_t value_us) {
  buckets_[BucketOf(value_us)].fetch_add(1, std::memory_order_relaxed);
  sum_us_.fetch_add(value_us, std::memory_order_relaxed);
  RaiseMaxTo(value_us);
}

void Histogram::RaiseMaxTo(uint64_t value_us) {
  uint64_t max = max_us_.load(std::memory_order_relaxed);
  while (max < value_us && !max_us_.compare_exchange_weak(max, value_us, std::memory_order_relaxed)) {
  }
}

uint64_t Histogram::count() const {
  uint64_t count = 0;
  for (const auto& bucket : buckets_) count += bucket.load(std::memory_order_relaxed);
  return count;
}

double Histogram::mean_us() const {
  const uint64_t values = count();
  return values == 0 ? 0 : static_cast<double>(sum_us_.load(std::memory_order_relaxed)) / static_cast<double>(values);
}

uint64_t Histogram::ValueAt(double quantile) const {
  const uint64_t values = count();
  if (values == 0) return 0;
  const uint64_t rank = std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(quantile * static_cast<double>(values))));
  uint64_t seen = 0;
  for (int bucket = 0; bucket < kBuckets; ++bucket) {
    seen += buckets_[bucket].load(std::memory_order_relaxed);
    if (seen >= rank) return std::min(UpperEnd(bucket), max_us());
  }
  return max_us();
}

uint64_t Histogram::CountUpTo(uint64_t value_us) const {
  uint64_t count = 0;
  for (int bucket = 0; bucket <= BucketOf(value_us); ++bucket)
    count += buckets_[bucket].load(std::memory_order_relaxed);
  return count;
}

Histogram::Contents Histogram::contents() const {
  Contents contents = {.max_us = max_us(), .sum_us = sum_us_.load(std::memory_order_relaxed)};
  for (int bucket = 0; bucket < kBuckets; ++bucket) {
    const uint64_t count = buckets_[bucket].load(std::memory_order_relaxed);
    if (count > 0) contents.buckets.push_back({bucket, count});
  }
  return contents;
}

void Histogram::Add(const Contents& contents) {
  for (const Bucket& bucket : contents.buckets) {
    buckets_[bucket.number].fetch_add(bucket.count, std::memory_order_relaxed);
  }
  sum_us_.fetch_add(contents.sum_us, std::memory_order_relaxed);
  RaiseMaxTo(contents.max_us);
}

}  // namespace tranche::load
