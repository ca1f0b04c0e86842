// When a delivery that failed is tried again, and when it is given up. Pure.
#pragma once

#include <functional>

#include "absl/time/time.h"

namespace tranche::server {

// Numbers from 0 (included) to 1 (not included). Thread-safe.
using RandomSource = std::function<double()>;
RandomSource RealRandom();

struct BackoffBounds {
  absl::Duration first;
  absl::Duration most;
};

// Exponential with full jitter, so that what failed together does not come back together: evenly spread between nothing
// and first * 2^(failures - 1), which counts as `most` at most. `failures` from 1; `random` as from a RandomSource.
absl::Duration Backoff(const BackoffBounds& bounds, int failures, double random);

// A message is given up only when both are reached: a burst of attempts is no reason, nor is a long outage that few
// attempts have met.
struct GiveUpBounds {
  int attempts = 10;
  absl::Duration age = absl::Hours(24);
};

bool ShouldGiveUp(const GiveUpBounds& bounds, int attempts, absl::Duration age);

}  // namespace tranche::server
