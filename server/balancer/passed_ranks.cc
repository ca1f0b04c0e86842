#include "server/balancer/passed_ranks.h"

#include <algorithm>

namespace tranche::server {

void PassedRanks::Note(absl::Duration elapsed, uint64_t from, uint64_t to, double buyers) {
  if (to > from) passed_.push_back({elapsed, from, to, buyers});
}

void PassedRanks::Forget(absl::Duration before) {
  while (!passed_.empty() && passed_.front().at < before) passed_.pop_front();
}

double PassedRanks::StillCounted(absl::Duration elapsed, uint64_t from, absl::Duration window) const {
  double counted = 0;
  for (const Passed& passed : passed_) {
    if (passed.to <= from) continue;
    const uint64_t begin = std::max(passed.from, from);
    const double part = static_cast<double>(passed.to - begin) / static_cast<double>(passed.to - passed.from);
    const double left = 1 - absl::FDivDuration(elapsed - passed.at, window);
    counted += passed.buyers * part * std::clamp(left, 0.0, 1.0);
  }
  return counted;
}

double PassedRanks::Since(absl::Duration then) const {
  double buyers = 0;
  for (const Passed& passed : passed_) {
    if (passed.at > then) buyers += passed.buyers;
  }
  return buyers;
}

}  // namespace tranche::server
