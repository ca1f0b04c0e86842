// What to do about an error, in one line.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace tranche::ctl {

// `changed_nothing`: what failed was a read, or reached no node. Empty when there is no useful advice.
std::string NextStepFor(const absl::Status& status, bool changed_nothing);

}  // namespace tranche::ctl
