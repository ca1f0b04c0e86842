#include "server/metrics/heartbeat.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace tranche::server {

double SecondsSinceRound(absl::Time succeeded_at, absl::Time began, absl::Time now) {
  return std::max(0.0, absl::ToDoubleSeconds(now - std::max(succeeded_at, began)));
}

absl::Status RequireRecentRound(absl::string_view rounds, absl::Time succeeded_at, absl::Time now,
                                absl::Duration most) {
  if (succeeded_at == absl::InfinitePast()) {
    return absl::UnavailableError(absl::StrCat("no round of ", rounds, " has succeeded yet: see the log"));
  }
  const absl::Duration age = now - succeeded_at;
  if (age < most) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("the last round of ", rounds, " that succeeded ended ",
                                             absl::FormatDuration(absl::Trunc(age, absl::Seconds(1))),
                                             " ago: see the log"));
}

}  // namespace tranche::server
