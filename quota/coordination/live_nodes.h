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
  // Asked to stop: it still answers what it has accepted, and is given no more units. Only the ledger knows:
  // ListLiveNodes leaves it false.
  bool draining = false;
};

// Ascending by incarnation. With Watch::kYes the caller hears of nodes that come, go, or are asked to drain.
absl::StatusOr<std::vector<LiveNode>> ListLiveNodes(Coordination& session, Watch watch = Watch::kNo);

}  // namespace tranche::quota
