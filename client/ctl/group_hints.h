// The next step after an error about groups.
#pragma once

#include <string>

#include "tranche/error.h"

namespace tranche::ctl {

// "" if the error is about something else.
std::string NextStepForGroup(Reason reason);

}  // namespace tranche::ctl
