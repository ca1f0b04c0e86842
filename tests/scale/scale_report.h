// The figures of a scale simulation for people and for programs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/scale/scenarios.h"

namespace tranche::testing {

// What grows with the system, how far it is used, and where it ends.
struct Limit {
  std::string what;
  double used = 0;
  double limit = 0;
  std::string unit;
  // What the limit is, and whether it is a contract or an assumption.
  std::string source;
  // The system may grow by this factor, in the direction that `what` names.
  double headroom() const { return used > 0 ? limit / used : 1e9; }
};

// The tightest first.
std::vector<Limit> LimitsOf(const ScaleResult& result);

// As a phase ends.
void PrintPhaseHeader();
void PrintPhase(const Phase& phase);
void PrintSummary(const ScaleResult& result);

nlohmann::json ToJson(const ScaleResult& result);

}  // namespace tranche::testing
