#include "tests/benchmark/peers/backoff.h"

#include <algorithm>
#include <cstdint>
#include <random>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tranche::peers {

void WaitBeforeTry(int next) {
  thread_local std::minstd_rand random{std::random_device()()};
  const int64_t most_us = int64_t{1000} << std::clamp(next - 2, 0, 5);
  absl::SleepFor(absl::Microseconds(std::uniform_int_distribution<int64_t>(0, most_us)(random)));
}

}  // namespace tranche::peers
