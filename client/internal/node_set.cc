#include "client/internal/node_set.h"

#include <algorithm>
#include <utility>

namespace tranche::internal {

NodeSet::NodeSet(std::vector<std::shared_ptr<Stub>> stubs) : nodes_(stubs.size()) {
  for (size_t i = 0; i < stubs.size(); ++i) nodes_[i].stub = std::move(stubs[i]);
}

int NodeSet::Pick(Tried tried, absl::Time now) {
  const int64_t now_ns = absl::ToUnixNanos(now);
  const uint32_t count = static_cast<uint32_t>(nodes_.size());
  const uint32_t first = turn_.fetch_add(1, std::memory_order_relaxed) % count;
  int fallback = -1;
  for (uint32_t i = 0; i < count; ++i) {
    const int node = static_cast<int>((first + i) % count);
    if (tried >> node & 1) continue;
    if (Healthy(nodes_[node], now_ns)) return node;
    if (fallback < 0) fallback = node;
  }
  return fallback;
}

bool NodeSet::HasHealthy(Tried tried, absl::Time now) const {
  const int64_t now_ns = absl::ToUnixNanos(now);
  for (size_t node = 0; node < nodes_.size(); ++node) {
    if (!(tried >> node & 1) && Healthy(nodes_[node], now_ns)) return true;
  }
  return false;
}

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
