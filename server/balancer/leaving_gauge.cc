#include "server/balancer/leaving_gauge.h"

#include <algorithm>
#include <cmath>

namespace tranche::server {
namespace {

// Of fewer, chance says more than the numbers.
constexpr double kFewWaiting = 20;
// What one look counts beside those before.
constexpr double kWeight = 0.2;

}  // namespace

void LeavingGauge::Look(absl::Duration elapsed, uint64_t threshold, uint64_t frontier, const RoomCounts& waiting,
                        absl::Duration interval) {
  if (!snapshots_.empty() && elapsed - snapshots_.back().at < interval / kSnapshotsPerInterval) return;
  while (!snapshots_.empty() && elapsed - snapshots_.front().at >= interval) {
    const Snapshot& then = snapshots_.front();
    const double before = then.waiting.Between(threshold, then.frontier);
    if (before >= kFewWaiting) {
      const double now = std::max(waiting.Between(threshold, then.frontier), 0.5);
      const double seen = std::max(0.0, std::log(before / now) / absl::ToDoubleSeconds(elapsed - then.at));
      per_s_ = known_ ? per_s_ + kWeight * (seen - per_s_) : seen;
      known_ = true;
    }
    snapshots_.pop_front();
  }
  snapshots_.push_back({elapsed, frontier, waiting});
}

}  // namespace tranche::server
