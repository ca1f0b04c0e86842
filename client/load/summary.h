// The result of a run, as JSON for programs and as a table for people.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "client/load/changer.h"
#include "client/load/generator.h"
#include "client/load/load_options.h"
#include "client/load/outcomes.h"
#include "client/load/reader.h"

namespace tranche::load {

// A run that is over. All of it outlives this.
struct Run {
  const LoadOptions& options;
  const Outcomes& outcomes;
  absl::Duration wall;
  bool interrupted = false;
  Generator::OpenLoop open_loop = {};
  const Changer* changer = nullptr;  // null: there was none
  const Reader* reader = nullptr;    // null: there was none
};

std::string SummaryJson(const Run& run);
std::string SummaryTable(const Run& run);

}  // namespace tranche::load
