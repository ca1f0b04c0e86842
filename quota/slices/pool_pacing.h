// When a slice may ask its SKU's pool for units: once at a time, and after a pause that grows while it asks in vain.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "absl/time/time.h"

namespace tranche::quota {

// Thread-safe; a call that is too early costs two loads.
class PoolPacing {
 public:
  // Why it asks: for units that somebody wants; or whether it is still true that there are none, of which others have
  // told. The two have pauses of their own, since the second is not urgent.
  enum class Reason { kWanted, kDoubt };

  // True: it may ask for so many units now, and nobody else until one of the calls below. The pause is for those who
  // want as many as there were not, or more.
  bool TryBegin(Reason reason, int64_t units, absl::Time now) {
    const Pause& pause = PauseOf(reason);
    const bool too_early = absl::ToUnixNanos(now) < pause.until_ns.load(std::memory_order_relaxed);
    if (too_early && units >= pause.units.load(std::memory_order_relaxed)) return false;
    bool idle = false;
    return asking_.load(std::memory_order_relaxed) == idle && asking_.compare_exchange_strong(idle, true);
  }
  // Is somebody asking?
  bool asking() const { return asking_.load(std::memory_order_relaxed); }
  // There were not so many, or there was no answer. `at_least`: how long it shall not be asked. Returns how often it
  // was in vain before, in a row.
  int EndInVain(Reason reason, int64_t units, absl::Time now, absl::Duration at_least = absl::ZeroDuration()) {
    Pause& pause = PauseOf(reason);
    const int times = pause.in_vain.fetch_add(1, std::memory_order_relaxed);
    const absl::Duration longer = LeastPause(reason) * (1 << std::min(times, MostDoublings(reason)));
    pause.until_ns.store(absl::ToUnixNanos(now + std::max(longer, at_least)), std::memory_order_relaxed);
    pause.units.store(units, std::memory_order_relaxed);
    asking_.store(false);
    return times;
  }
  // Units came.
  void End() {
    Reset();
    asking_.store(false);
  }
  // There is news about the SKU: asking is worth it again.
  void Reset() {
    for (Pause& pause : pauses_) {
      pause.in_vain.store(0, std::memory_order_relaxed);
      pause.until_ns.store(0, std::memory_order_relaxed);
    }
  }

  // A pool that was empty is asked again after 20, 40, 80, ... 640, 640 ... ms: a request waits for 100 ms, and a SKU
  // that stays dry must not cost more with every node. Doubts after 1, 2, 4, 8, 8 ... s: a hold that lapses is sold
  // again within seconds even if no balancer announces it.
  static constexpr absl::Duration LeastPause(Reason reason) {
    return reason == Reason::kWanted ? absl::Milliseconds(20) : absl::Seconds(1);
  }
  static constexpr int MostDoublings(Reason reason) { return reason == Reason::kWanted ? 5 : 3; }

 private:
  struct Pause {
    std::atomic<int64_t> until_ns{0};
    std::atomic<int64_t> units{0};
    std::atomic<int> in_vain{0};
  };

  Pause& PauseOf(Reason reason) { return pauses_[static_cast<int>(reason)]; }

  Pause pauses_[2];
  std::atomic<bool> asking_{false};
};

}  // namespace tranche::quota
