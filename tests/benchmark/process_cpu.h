// The CPU time of another process.
#pragma once

#include <time.h>

#include "absl/time/time.h"

namespace tranche::benchmark {

// What the process has used so far, by its CPU clock. Zero for no process.
inline absl::Duration CpuOf(int pid) {
  clockid_t clock{};
  timespec used{};
  if (pid == 0 || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) return {};
  return absl::DurationFromTimespec(used);
}

}  // namespace tranche::benchmark
