// A clock that nobody sets: for how long something has taken. If the machine's clock is moved by an hour while the
// database works, no call may be cut for that. (Abseil's timed waits go by the clock that is set: an hour back makes
// those that are under way an hour longer.)
#pragma once

#include <chrono>

#include "absl/time/time.h"

namespace tranche::storage {

// Only good for comparison with itself.
inline absl::Time SteadyNow() {
  return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace tranche::storage
