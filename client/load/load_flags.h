// The flags of tranche-load.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/flags/security_flags.h"
#include "client/load/load_options.h"
#include "client/load/scenario_flags.h"

namespace tranche::load {

// Those that are not options as they are.
struct LoadFlags {
  std::string endpoints;
  SecurityFlags security;
  ScenarioFlags scenario;
  std::string duration;
  std::string decide_within;
  std::vector<std::string> change_kinds;
  int64_t timeout_ms = 2000;
  int64_t change_timeout_ms = 1000;
  int in_flight = 0;
  bool progress = false;
};

// Both must outlive `app`.
void AddLoadFlags(CLI::App& app, LoadOptions& options, LoadFlags& flags);

// Fills the options from the parsed flags. INVALID_ARGUMENT for what their own ranges do not show.
absl::Status CompleteOptions(const CLI::App& app, const LoadFlags& flags, LoadOptions& options);

}  // namespace tranche::load
