// What the servers use that this process has started.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace tranche::benchmark {

struct ServerUse {
  absl::Duration cpu;  // since their start
  int64_t resident_kib = 0;
  int processes = 0;
};

// Of all processes below this one whose name is `name` ("beam.smp", "postgres"). Memory that several share is counted
// for each.
ServerUse UseOfDescendants(const std::string& name);

}  // namespace tranche::benchmark
