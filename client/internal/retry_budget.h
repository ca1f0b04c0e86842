// A token bucket that bounds retries to a share of the answered calls.
#pragma once

#include <atomic>
#include <cstdint>

namespace tranche::internal {

// Thread-safe, lock-free.
class RetryBudget {
 public:
  RetryBudget(double tokens, double refill)
      : max_milli_(static_cast<int64_t>(tokens * 1000)),
        refill_milli_(static_cast<int64_t>(refill * 1000)),
        milli_(max_milli_) {}

  void OnAnswered() {
    // The bucket is nearly always full: then this is a load, not a write, so that callers do not compete for the cache
    // line.
    int64_t now = milli_.load(std::memory_order_relaxed);
    while (now < max_milli_) {
      const int64_t next = now + refill_milli_ > max_milli_ ? max_milli_ : now + refill_milli_;
      if (milli_.compare_exchange_weak(now, next, std::memory_order_relaxed)) return;
    }
  }

  // False: no retry now.
  bool TrySpend() {
    int64_t now = milli_.load(std::memory_order_relaxed);
    while (now >= 1000) {
      if (milli_.compare_exchange_weak(now, now - 1000, std::memory_order_relaxed)) return true;
    }
    return false;
  }

 private:
  const int64_t max_milli_;
  const int64_t refill_milli_;
  std::atomic<int64_t> milli_;
};

}  // namespace tranche::internal
