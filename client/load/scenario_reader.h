// Reads scenarios from YAML.
#pragma once

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "client/load/scenario.h"

namespace tranche::load {

inline constexpr size_t kMostScenarioBytes = 64 * 1024;
inline constexpr double kMostScenarioArrivals = 100'000'000;

// INVALID_ARGUMENT names the line and what is wrong there; keys that are not known are refused. Every number has a
// bound, so also a scenario of somebody else costs no more than its text says.
absl::StatusOr<Scenario> ReadScenario(const std::string& text);

// The file's text. INVALID_ARGUMENT if it cannot be read, or is longer than kMostScenarioBytes.
absl::StatusOr<std::string> ReadScenarioFile(const std::string& path);

}  // namespace tranche::load
