#include "server/rpc/call_deadline.h"

#include <algorithm>

#include "server/errors.h"

namespace tranche::server {

namespace {

// For the answer's way to the caller: more than a network within a region needs, and little of the time there is.
constexpr absl::Duration kLongestWay = absl::Milliseconds(50);
constexpr int kShareOfTheWay = 20;

}  // namespace

absl::StatusOr<absl::Time> EffectiveDeadline(const CallDeadlines& deadlines, std::optional<absl::Time> deadline,
                                             absl::Time now) {
  if (deadline.has_value()) {
    const absl::Time latest = std::min(*deadline, now + deadlines.max_deadline);
    return latest - std::clamp((latest - now) / kShareOfTheWay, absl::ZeroDuration(), kLongestWay);
  }
  if (deadlines.default_deadline > absl::ZeroDuration()) {
    return now + std::min(deadlines.default_deadline, deadlines.max_deadline);
  }
  return FieldError(v1::ERROR_REASON_DEADLINE_REQUIRED, "deadline", "is missing: set one on the call, such as 2 s");
}

absl::Status DeadlinePassed() {
  return MakeError(v1::ERROR_REASON_DEADLINE_PASSED, "The deadline passed before the ledger was asked.");
}

}  // namespace tranche::server
