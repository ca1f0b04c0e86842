// How long a call of ReservationService may take.
#pragma once

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tranche::server {

struct CallDeadlines {
  absl::Duration default_deadline = absl::ZeroDuration();  // for calls that carry none; zero: refuse those
  absl::Duration max_deadline = absl::Seconds(30);         // longer ones are lowered
};

// Until when the call is to be answered. `deadline` is the caller's, nullopt if they gave none: DEADLINE_REQUIRED
// unless there is a default. The result is a little earlier than the caller's: what is answered at the deadline is not
// heard, and "nothing was done" would become an unknown outcome.
absl::StatusOr<absl::Time> EffectiveDeadline(const CallDeadlines& deadlines, std::optional<absl::Time> deadline,
                                             absl::Time now);

// DEADLINE_PASSED, for a call that was not sent to the ledger in time.
absl::Status DeadlinePassed();

}  // namespace tranche::server
