// Reads what a kind of visitors does, step by step.
#pragma once

#include <yaml-cpp/yaml.h>

#include <vector>

#include "absl/status/statusor.h"
#include "client/load/scenario.h"

namespace tranche::load {

// A list of 1 to 16 steps. Errors as those of ReadScenario.
absl::StatusOr<std::vector<Step>> ReadSteps(const YAML::Node& node);

}  // namespace tranche::load
