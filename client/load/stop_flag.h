// Whether a signal asked the run to end.
#pragma once

#include <algorithm>
#include <atomic>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tranche::load {

// Set() may be called from any thread and from a signal handler.
class StopFlag {
 public:
  void Set() { set_.store(true, std::memory_order_relaxed); }
  bool IsSet() const { return set_.load(std::memory_order_relaxed); }

  // Waits until then, but no longer than until it is set. In short sleeps: a signal handler can wake nobody.
  void SleepUntil(absl::Time time) const {
    for (absl::Time now = absl::Now(); now < time && !IsSet(); now = absl::Now()) {
      absl::SleepFor(std::min(time - now, absl::Milliseconds(50)));
    }
  }

 private:
  std::atomic<bool> set_{false};
};

}  // namespace tranche::load
