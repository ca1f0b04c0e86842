// When a failed delivery is tried again, and when it is given up. Pure.
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

// Exponential with full jitter, so that failures do not come back all together: uniform between 0 and first *
// 2^(failures - 1), but at most `most`. `failures` is at least 1; `random` is as from a RandomSource.
absl::Duration Backoff(const BackoffBounds& bounds, int failures, double random);

// A message is given up only when both limits are reached: neither a burst of attempts nor a long outage with few
// attempts is a reason.
struct GiveUpBounds {
  int attempts = 10;
  absl::Duration age = absl::Hours(24);
};

bool ShouldGiveUp(const GiveUpBounds& bounds, int attempts, absl::Duration age);

}  // namespace tranche::server
