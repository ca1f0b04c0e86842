// Which nodes exist: the registrations under /nodes.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "quota/coordination/coordination.h"
#include "storage/ledger/incarnation_id.h"

namespace tranche::quota {

struct LiveNode {
  storage::IncarnationId incarnation = storage::kPool;
  std::string name;
  std::string address;
  absl::Time started_at;
  // ZooKeeper's word; home's ledger decides whether the node drains.
  bool asked_to_drain = false;
  // It still answers what it has accepted, and is given no more units. Left false by ListLiveNodes.
  bool draining = false;
  // It sells what is queued, to no buyers of its own: it is given units by demand only.
  bool consumer = false;
  // Its registration is somebody else's, who keeps it from this session. It has no name, and is given no units; but
  // since it may be a node, it does not count as dead.
  bool unreadable = false;
};

// Ascending by incarnation. With Watch::kYes the caller hears of nodes that come, go, or are asked to drain.
absl::StatusOr<std::vector<LiveNode>> ListLiveNodes(Coordination& session, Watch watch = Watch::kNo);

}  // namespace tranche::quota
