// The front nodes of a connection: which one is next, and which ones to leave alone for a while.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "client/internal/stub.h"

namespace tranche::internal {

// Thread-safe, lock-free. 1 to 64 nodes.
class NodeSet {
 public:
  // Bit i set: node i was tried in this round.
  using Tried = uint64_t;

  explicit NodeSet(std::vector<std::shared_ptr<Stub>> stubs);

  int size() const { return static_cast<int>(nodes_.size()); }
  Stub& stub(int node) { return *nodes_[node].stub; }

  // The next untried node in turn, a healthy one if there is one. -1: all were tried. The turn goes through the nodes
  // that are left, so that what a failed node would get spreads evenly over the others.
  int Pick(Tried tried, absl::Time now);
  // True when an untried healthy node exists.
  bool HasHealthy(Tried tried, absl::Time now) const;

  // The node failed: it is avoided for a time that doubles with each failure in a row, at most `kMaxAvoid`. An avoided
  // node is still tried when no other is left.
  void Avoid(int node, absl::Time now);
  void MarkHealthy(int node);

  static constexpr absl::Duration kMinAvoid = absl::Milliseconds(200);
  static constexpr absl::Duration kMaxAvoid = absl::Seconds(3);

 private:
  struct alignas(64) Node {
    std::shared_ptr<Stub> stub;
    std::atomic<int64_t> avoid_until_ns{0};
    std::atomic<int> failures{0};
  };

  bool Healthy(const Node& node, int64_t now_ns) const {
    return node.avoid_until_ns.load(std::memory_order_relaxed) <= now_ns;
  }

  Tried HealthyNodes(absl::Time now) const;

  std::vector<Node> nodes_;
  // Two, so that the retries of one node's calls do not decide where other calls begin.
  std::atomic<uint32_t> first_turn_{0};
  std::atomic<uint32_t> retry_turn_{0};
};

}  // namespace tranche::internal
