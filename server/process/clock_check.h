// Does this machine's clock go with the database's? Sales open and close by the one, and holds end by the other.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace tranche::server {

// How far the own clock is ahead of the database's for certain; negative if it is behind, 0 if they may agree. The
// database's clock showed `read` at some moment at which the own one was between `before` and `after`: the longer the
// question and its answer took, the less is certain. nullopt if the own clock was set back meanwhile.
std::optional<absl::Duration> ClockAhead(absl::Time before, absl::Time read, absl::Time after);

// One line for operators if the two clocks differ by more than a second for certain; otherwise "".
std::string ClockWarning(absl::string_view shard, absl::Time before, absl::Time read, absl::Time after);

}  // namespace tranche::server
