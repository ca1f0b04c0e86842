// What to do about an error, in one line.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace tranche::ctl {

// `was_read`: what failed would have changed nothing. Empty when there is no useful advice.
std::string NextStepFor(const absl::Status& status, bool was_read);

}  // namespace tranche::ctl
