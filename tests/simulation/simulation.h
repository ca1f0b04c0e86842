// One simulated run, from a seed to a verdict.
//
//   faulty phase   buyers come, operators operate, faults strike
//   settling       faults stop; no buyer comes. Short holds lapse. Then no unit may move any more, and every counter
//                  must be right
//   selling out    buyers come; at first some cancel or forget to pay, and their units must find other buyers. Until
//                  nothing is left of any SKU and nothing can come back soon, within a bounded time
//   end            every request was answered; the ledger verifies itself
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "tests/simulation/checker.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/life_checker.h"

namespace tranche::simulation {

struct SimulationOptions {
  uint64_t seed = 1;
  std::string scenario;  // "": the seed chooses
  bool print_trace = false;
};

struct SimulationResult {
  uint64_t seed = 0;
  std::string scenario;
  std::optional<Violation> violation;
  std::string last_lines;  // of the trace, when there is a violation
  uint64_t trace_hash = 0;
  uint64_t steps = 0;
  absl::Duration virtual_time;
  int64_t requests = 0;
  int64_t reservations = 0;
  int64_t moves = 0;
  int64_t pool_requests = 0;
  LifeCounts life{};
  FaultCounts faults{};
  std::map<std::string, int64_t> door_answers = {};  // of the scenario "door": how often, by name
  std::map<std::string, int64_t> claims = {};        // of the scenario "queue": what became of claims, by name
  std::map<std::string, int64_t> groups = {};        // of the scenario "groups": what became of them, by name
};

SimulationResult Simulate(const SimulationOptions& options);

}  // namespace tranche::simulation
