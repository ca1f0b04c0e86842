// For tests that look again and again until something is so.
#pragma once

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tranche::testing {

// Rests between two looks. Without a rest the test takes a whole processor from the servers that it waits for, and from
// the tests beside it; what it sees a moment later is seen soon enough.
inline void RestBetweenLooks() { absl::SleepFor(absl::Milliseconds(10)); }

}  // namespace tranche::testing
