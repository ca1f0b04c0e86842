// Removes an incarnation's znodes from the coordination tree.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "quota/coordination/coordination.h"
#include "storage/ledger/incarnation_id.h"

namespace tranche::quota {

// Deletes an ended incarnation's slices, demand, request to drain, report of waiting rooms and, last, its registration,
// whose deletion tells the balancer that units have come into the pools. What cannot be deleted now is left to the
// balancer's repair.
void RemoveIncarnationZnodes(Coordination& session, storage::IncarnationId incarnation);

// Deletes a znode, whatever its version. Nothing that Tranche deletes has children, but somebody may have made some.
absl::Status DeleteWithChildren(Coordination& session, const std::string& path);

}  // namespace tranche::quota
