// Time as a dependency, so that tests and the simulation decide what time it is.
#pragma once

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tranche::storage {

// Thread-safe. Now() of the real clock is the machine's wall clock. It decides about deadlines and refusals before the
// sale opens, never about who gets a unit.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;

  static Clock* Real();
};

// A clock that moves only by AdvanceBy. Other calls must not run at the same time as AdvanceBy.
class FakeClock : public Clock {
 public:
  explicit FakeClock(absl::Time now = absl::UnixEpoch() + absl::Hours(24 * 365)) : now_(now) {}
  absl::Time Now() const override { return now_; }
  void AdvanceBy(absl::Duration duration) { now_ += duration; }

 private:
  absl::Time now_;
};

}  // namespace tranche::storage
