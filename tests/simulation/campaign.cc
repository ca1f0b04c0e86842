#include "tests/simulation/campaign.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace tranche::simulation {

void CampaignSummary::Add(const SimulationResult& result) {
  ++seeds;
  if (result.violation.has_value() && violations++ == 0) first_violation_seed = result.seed;
  steps += result.steps;
  virtual_time += result.virtual_time;
  requests += result.requests;
  reservations += result.reservations;
  moves += result.moves;
  pool_requests += result.pool_requests;
  for (size_t i = 0; i < life.size(); ++i) life[i] += result.life[i];
  for (size_t i = 0; i < faults.size(); ++i) faults[i] += result.faults[i];
}

void CampaignSummary::Merge(const CampaignSummary& other) {
  if (violations == 0) first_violation_seed = other.first_violation_seed;
  seeds += other.seeds;
  violations += other.violations;
  steps += other.steps;
  virtual_time += other.virtual_time;
  requests += other.requests;
  reservations += other.reservations;
  moves += other.moves;
  pool_requests += other.pool_requests;
  for (size_t i = 0; i < life.size(); ++i) life[i] += other.life[i];
  for (size_t i = 0; i < faults.size(); ++i) faults[i] += other.faults[i];
}

CampaignSummary RunCampaign(const CampaignOptions& options) {
  CampaignSummary summary;
  const absl::Time start = absl::Now();
  for (uint64_t i = 0; i < options.seeds; ++i) {
    const SimulationResult result =
        Simulate({.seed = options.first_seed + i, .scenario = options.scenario, .print_trace = false});
    summary.Add(result);
    if (result.violation.has_value() && options.on_violation) options.on_violation(result);
    if (options.on_progress) options.on_progress(summary.seeds, summary.violations);
    if (result.violation.has_value() && options.stop_at_first) break;
  }
  summary.real_time = absl::Now() - start;
  return summary;
}

std::string Describe(const SimulationResult& result, const std::string& commit) {
  return absl::StrCat("VIOLATION of \"", result.violation->rule, "\" in seed ", result.seed, " (scenario ",
                      result.scenario, ", commit ", commit, ")\n  ", result.violation->detail, "\n", result.last_lines,
                      "replay: scripts/simulate --scenario ", result.scenario, " --seed ", result.seed, " --trace\n");
}

std::string Describe(const CampaignSummary& summary) {
  std::string text = absl::StrFormat(
      "seeds %d, violations %d, steps %d, requests %d, reservations %d, moves %d, requests to pools %d\n",
      summary.seeds, summary.violations, summary.steps, summary.requests, summary.reservations, summary.moves,
      summary.pool_requests);
  for (int i = 0; i < kLifeEvents; ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ", ", KindOf(static_cast<LifeEvent>(i)), " ",
                    summary.life[static_cast<size_t>(i)]);
  }
  text += "\n";
  const double ratio = absl::FDivDuration(summary.virtual_time, std::max(summary.real_time, absl::Nanoseconds(1)));
  absl::StrAppendFormat(&text, "virtual time %.0f s in %.1f s of real time: %.0f times faster\nfaults:",
                        absl::ToDoubleSeconds(summary.virtual_time), absl::ToDoubleSeconds(summary.real_time), ratio);
  for (int i = 0; i < kFaultKinds; ++i) {
    absl::StrAppend(&text, i == 0 ? " " : ", ", NameOf(static_cast<Fault>(i)), " ", summary.faults[i]);
  }
  return text + "\n";
}

}  // namespace tranche::simulation
