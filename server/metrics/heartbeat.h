// Whether a part that works in rounds still does.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace tranche::server {

// Since a round last succeeded; if none has, since `began`, when the part was made. Not negative, even if somebody sets
// the clock.
double SecondsSinceRound(absl::Time succeeded_at, absl::Time began, absl::Time now);

// An error that says so unless a round has succeeded within `most`. `rounds`: whose they are, for the message.
absl::Status RequireRecentRound(absl::string_view rounds, absl::Time succeeded_at, absl::Time now, absl::Duration most);

}  // namespace tranche::server
