// The result of a run, as JSON for programs and as a table for people.
#pragma once

#include <string>

#include "client/load/changer.h"
#include "client/load/generator.h"
#include "client/load/load_options.h"
#include "client/load/outcomes.h"

namespace tranche::load {

// `changer` may be null.
std::string SummaryJson(const LoadOptions& options, const Outcomes& outcomes, absl::Duration wall, bool interrupted,
                        const Changer* changer);
std::string SummaryTable(const LoadOptions& options, const Outcomes& outcomes, absl::Duration wall,
                         const Changer* changer);

}  // namespace tranche::load
