// The flags of tranche-load that are about scenarios.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace tranche::load {

struct ScenarioFlags {
  std::string file;
  std::string result_file;
  std::vector<std::string> generators;
  std::string serve;
  bool serve_unprotected = false;
  std::string port_file;

  // Whether the program is to carry out scenarios.
  bool asked() const { return !file.empty() || !serve.empty(); }
};

// `flags` outlives `app`.
void AddScenarioFlags(CLI::App& app, ScenarioFlags& flags);

// Of flags that ask for a scenario. INVALID_ARGUMENT for those that do not go together.
absl::Status CheckScenarioFlags(const CLI::App& app, const ScenarioFlags& flags);

}  // namespace tranche::load
