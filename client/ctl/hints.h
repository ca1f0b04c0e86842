// What to do about an error, in one line.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace tranche::ctl {

// Empty when there is no useful advice.
std::string NextStepFor(const absl::Status& status);

}  // namespace tranche::ctl
