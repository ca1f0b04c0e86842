// Counts events where every claim passes by.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tranche {

// Thread-safe. Threads count in different cache lines, so that they do not wait for each other: one relaxed addition.
class Counter {
 public:
  void Add(int64_t count = 1) { stripes_[Stripe()].count.fetch_add(count, std::memory_order_relaxed); }

  // Never less than before, as nothing negative is added.
  int64_t value() const {
    int64_t sum = 0;
    for (const Part& part : stripes_) sum += part.count.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  static constexpr size_t kStripes = 8;
  struct alignas(64) Part {
    std::atomic<int64_t> count{0};
  };

  // Of this thread.
  static size_t Stripe() {
    static std::atomic<size_t> threads{0};
    thread_local const size_t stripe = threads.fetch_add(1, std::memory_order_relaxed) % kStripes;
    return stripe;
  }

  std::array<Part, kStripes> stripes_{};
};

}  // namespace tranche
