// Runs many seeds, on several processes, with one verdict.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "tests/simulation/simulation.h"

namespace tranche::simulation {

struct CampaignOptions {
  uint64_t first_seed = 1;
  uint64_t seeds = 1000;
  std::string scenario;       // "": the seed chooses
  bool stop_at_first = true;  // of the violations
  // Called with every violation, and sometimes with the progress. May be empty.
  std::function<void(const SimulationResult&)> on_violation;
  std::function<void(uint64_t done, uint64_t violations)> on_progress;
};

struct CampaignSummary {
  uint64_t seeds = 0;
  uint64_t violations = 0;
  uint64_t first_violation_seed = 0;
  uint64_t steps = 0;
  absl::Duration virtual_time;
  absl::Duration real_time;
  int64_t requests = 0;
  int64_t reservations = 0;
  int64_t moves = 0;
  int64_t pool_requests = 0;
  LifeCounts life{};
  FaultCounts faults{};

  void Add(const SimulationResult& result);
  void Merge(const CampaignSummary& other);
};

CampaignSummary RunCampaign(const CampaignOptions& options);

// The report about a violation: the seed, the commit, how to reproduce it, and what happened last.
std::string Describe(const SimulationResult& result, const std::string& commit);
std::string Describe(const CampaignSummary& summary);

}  // namespace tranche::simulation
