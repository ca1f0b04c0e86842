#include "server/worker/retry_policy.h"

#include <algorithm>
#include <random>

namespace tranche::server {
namespace {

// Doubling beyond this makes no difference: `most` cuts it off.
constexpr int kMostDoublings = 40;

}  // namespace

RandomSource RealRandom() {
  return [] {
    thread_local std::mt19937_64 generator{std::random_device{}()};
    return std::uniform_real_distribution<double>(0, 1)(generator);
  };
}

absl::Duration Backoff(const BackoffBounds& bounds, int failures, double random) {
  const int doublings = std::clamp(failures - 1, 0, kMostDoublings);
  return std::min(bounds.most, bounds.first * (int64_t{1} << doublings)) * random;
}

bool ShouldGiveUp(const GiveUpBounds& bounds, int attempts, absl::Duration age) {
  return attempts >= bounds.attempts && age >= bounds.age;
}

}  // namespace tranche::server
