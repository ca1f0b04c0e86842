// What came of a scenario: parts are added up exactly, written as JSON for programs and as a table for people.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/load/histogram.h"
#include "client/load/scenario.h"
#include "tranche/internal/v1/load.pb.h"

namespace tranche::load {

internal::v1::LoadHistogram ToMessage(const Histogram& histogram);
// `message` is one that CheckResult has seen, or one of ToMessage.
void AddTo(Histogram& histogram, const internal::v1::LoadHistogram& message);

// INVALID_ARGUMENT unless the result is one that Merge can take: it may come from another machine.
absl::Status CheckResult(const internal::v1::LoadResult& result);

// Adds a part to `whole`. Steps stay in the order in which they came first.
void Merge(const internal::v1::LoadResult& part, internal::v1::LoadResult* whole);

// A process that took a share of the scenario.
struct GeneratorReport {
  std::string name = {};     // its address; "" for this process
  std::string failure = {};  // why its share is missing; "": it is not
  // Of a generator with an address: how far its clock is ahead, and how far off that may be.
  absl::Duration clock_ahead = absl::ZeroDuration();
  absl::Duration clock_error = absl::ZeroDuration();
};

struct ScenarioReport {
  Scenario scenario;
  std::string version;  // of tranche-load
  absl::Time began;     // the plan, by this machine's clock
  std::string users;    // what the buyers' names begin with
  internal::v1::LoadResult result;
  std::vector<GeneratorReport> generators;

  // Every share was carried out to its end.
  bool complete() const;
};

// docs/load.md describes it.
std::string ReportJson(const ScenarioReport& report);
std::string ReportTable(const ScenarioReport& report);

}  // namespace tranche::load
