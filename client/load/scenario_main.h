// tranche-load with --scenario and with --serve.
#pragma once

#include "client/load/load_options.h"
#include "client/load/scenario_flags.h"

namespace tranche::load {

// Both return the program's exit status. The options are those of the client, and whose names buyers have.
int RunScenarioFile(const ScenarioFlags& flags, const LoadOptions& options);
// Until a signal comes.
int ServeScenarios(const ScenarioFlags& flags, const LoadOptions& options);

}  // namespace tranche::load
