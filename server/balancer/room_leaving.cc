#include "server/balancer/room_leaving.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace tranche::server {
namespace {

constexpr int kLooksInWindow = 4;
// Where the window was made shorter, there may be more than one has.
constexpr size_t kMostLooks = 2 * kLooksInWindow;
// Fewer say too little.
constexpr double kLeastSeen = 20;
// Half of it is forgotten in about a window.
constexpr double kWeightOfNews = 0.2;
// All within a second.
constexpr double kMostPerS = 1;

}  // namespace

RoomLeaving::RoomLeaving(double per_s) : per_s_(per_s > 0 ? std::min(per_s, kMostPerS) : 0), measured_(per_s_ > 0) {}

void RoomLeaving::Look(double at_s, double window_s, const RoomCounts& waiting, uint64_t threshold, uint64_t frontier) {
  if (!looks_.empty() && at_s - looks_.back().at_s < window_s / kLooksInWindow) return;
  // After a pause all of them are a window old: the newest of those says most about now.
  bool due = false;
  LookBack then;
  while (!looks_.empty() && at_s - looks_.front().at_s >= window_s) {
    then = std::move(looks_.front());
    looks_.pop_front();
    due = true;
  }
  if (due) Measure(then, at_s, waiting, threshold);
  looks_.push_back({.at_s = at_s, .waiting = waiting, .frontier = frontier});
  if (looks_.size() > kMostLooks) looks_.pop_front();
}

void RoomLeaving::Measure(const LookBack& then, double at_s, const RoomCounts& waiting, uint64_t threshold) {
  if (threshold >= then.frontier) return;
  const double before = then.waiting.Between(threshold, then.frontier);
  if (!(before >= kLeastSeen)) return;
  const double now = std::max(waiting.Between(threshold, then.frontier), 0.5);
  const double seen = std::clamp(std::log(before / now) / (at_s - then.at_s), 0.0, kMostPerS);
  per_s_ = measured_ ? per_s_ + kWeightOfNews * (seen - per_s_) : seen;
  measured_ = true;
}

}  // namespace tranche::server
