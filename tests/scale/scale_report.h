// Prints the figures of a scale simulation for people and for programs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/scale/scenarios.h"

namespace tranche::testing {

// Something that grows with the system, how much of it is used, and its limit.
struct Limit {
  std::string what;
  double used = 0;
  double limit = 0;
  std::string unit;
  // What the limit is, and whether it is guaranteed or assumed.
  std::string source;
  // The system may grow by this factor, in the direction that `what` names.
  double headroom() const { return used > 0 ? limit / used : 1e9; }
};

// The tightest limit first.
std::vector<Limit> LimitsOf(const ScaleResult& result);

// Prints a phase when it ends.
void PrintPhaseHeader();
void PrintPhase(const Phase& phase);
void PrintSummary(const ScaleResult& result);

nlohmann::json ToJson(const ScaleResult& result);

}  // namespace tranche::testing
