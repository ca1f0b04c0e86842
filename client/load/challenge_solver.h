// Solves challenges as a browser's widget does (docs/front-door.md).
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/load/stop_flag.h"

namespace tranche::load {

// For EnterSale::challenge_solution. `challenge`: SaleEntry::challenge. INVALID_ARGUMENT: it is of another kind, or
// asks for more work than a node would. DEADLINE_EXCEEDED: not solved by then. CANCELLED: `stop` was set. Costs a
// processor's time, about 25 ms for a challenge of 8 bits. Thread-safe.
absl::StatusOr<std::string> SolveChallenge(const std::string& challenge, absl::Time deadline, const StopFlag& stop);

}  // namespace tranche::load
