#include "server/process/clock_check.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace tranche::server {
namespace {

// Clocks that are synchronised differ by milliseconds. Nobody tells a second from it: countdowns show whole ones.
constexpr absl::Duration kClocksMayDiffer = absl::Seconds(1);

}  // namespace

std::optional<absl::Duration> ClockAhead(absl::Time before, absl::Time read, absl::Time after) {
  if (after < before) return std::nullopt;
  return std::max(before - read, absl::ZeroDuration()) - std::max(read - after, absl::ZeroDuration());
}

std::string ClockWarning(absl::string_view shard, absl::Time before, absl::Time read, absl::Time after) {
  const std::optional<absl::Duration> ahead = ClockAhead(before, read, after);
  if (!ahead.has_value()) return "";
  const absl::Duration difference = absl::AbsDuration(*ahead);
  if (difference <= kClocksMayDiffer) return "";
  return absl::StrCat("this machine's clock is ", absl::FormatDuration(absl::Trunc(difference, absl::Milliseconds(1))),
                      *ahead < absl::ZeroDuration() ? " behind" : " ahead of", " the clock of the database of shard ",
                      shard,
                      ", or more: until they are synchronised (NTP), sales open and close here at other times than the "
                      "ledger says, and remaining_hold is wrong");
}

}  // namespace tranche::server
