#include "client/internal/node_set.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace tranche::internal {
namespace {

// Rounds through `count` places, each beginning at a place that looks random. If all began at the first, callers who
// take turns, such as claims and look-ups, would each get the same nodes again and again.
uint32_t PlaceOf(uint32_t turn, uint32_t count) {
  uint32_t begin = turn / count;
  begin = (begin ^ begin >> 16) * 0x85ebca6b;
  begin = (begin ^ begin >> 13) * 0xc2b2ae35;
  return (turn % count + (begin ^ begin >> 16) % count) % count;
}

}  // namespace

NodeSet::NodeSet(std::vector<std::shared_ptr<Stub>> stubs) : nodes_(stubs.size()) {
  for (size_t i = 0; i < stubs.size(); ++i) nodes_[i].stub = std::move(stubs[i]);
}

NodeSet::Tried NodeSet::HealthyNodes(absl::Time now) const {
  const int64_t now_ns = absl::ToUnixNanos(now);
  Tried healthy = 0;
  for (size_t node = 0; node < nodes_.size(); ++node) {
    if (Healthy(nodes_[node], now_ns)) healthy |= Tried{1} << node;
  }
  return healthy;
}

int NodeSet::Pick(Tried tried, absl::Time now) {
  const Tried untried = ~tried & (~Tried{0} >> (64 - nodes_.size()));
  const Tried healthy = untried & HealthyNodes(now);
  Tried choice = healthy != 0 ? healthy : untried;
  if (choice == 0) return -1;
  std::atomic<uint32_t>& turn = tried == 0 ? first_turn_ : retry_turn_;
  uint32_t skip = PlaceOf(turn.fetch_add(1, std::memory_order_relaxed), static_cast<uint32_t>(std::popcount(choice)));
  for (; skip > 0; --skip) choice &= choice - 1;  // without its lowest node
  return std::countr_zero(choice);
}

bool NodeSet::HasHealthy(Tried tried, absl::Time now) const { return (HealthyNodes(now) & ~tried) != 0; }

void NodeSet::Avoid(int node, absl::Time now) {
  const int64_t now_ns = absl::ToUnixNanos(now);
  // Calls that were in flight when the node died fail together: that counts as one failure.
  if (!Healthy(nodes_[node], now_ns)) return;
  const int failures = nodes_[node].failures.fetch_add(1, std::memory_order_relaxed);
  const absl::Duration avoid = std::min(kMaxAvoid, kMinAvoid * (1 << std::min(failures, 10)));
  nodes_[node].avoid_until_ns.store(now_ns + absl::ToInt64Nanoseconds(avoid), std::memory_order_relaxed);
}

void NodeSet::MarkHealthy(int node) {
  if (nodes_[node].failures.load(std::memory_order_relaxed) == 0) return;
  nodes_[node].failures.store(0, std::memory_order_relaxed);
  nodes_[node].avoid_until_ns.store(0, std::memory_order_relaxed);
}

}  // namespace tranche::internal
