// Who should get units when nodes run dry: pure integer arithmetic, no I/O.
//
// Units follow demand. Each node's target is its share of all unsold units in proportion to its recent requests, by the
// largest remainder method; a small part is spread evenly, so that idle nodes keep something for their next buyer. Only
// nodes that are dry, or about to be, receive. They receive from the pool first, then from slices of nodes that may not
// receive, then from idle nodes, then from nodes with clearly more than their target. A node that will sell all it has
// within a moment keeps it. So units do not travel back and forth, and a balanced sale moves nothing.
//
// The last units find the buyers: as long as enough units exist anywhere, a dry node gets at least the quantity that
// its buyers ask for, gathered from slices that cannot use them.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "absl/types/span.h"
#include "storage/ledger/quota_ledger.h"

namespace tranche::quota {

// One node's report about one SKU.
struct NodeDemand {
  // The smallest quantity that it could not serve; 0: it serves all.
  int64_t wanted = 0;
  // Units asked for per second, granted or not, times 1000.
  int64_t milli_rate = 0;
  // What it could still grant, by the announcement of `slice_version`. The ledger has more while claims are in flight.
  int64_t free = 0;
  int64_t slice_version = -1;  // unknown
};

// Nodes without an entry have no activity.
using DemandByNode = std::map<storage::IncarnationId, NodeDemand>;

struct DemandPlanOptions {
  // A node with less than this much of its demand left receives before it is dry.
  int64_t low_water_ms = 250;
  // A node that will sell all it has within this time keeps it, whichever node is dry.
  int64_t keep_ms = 200;
  // A node that sells gives only what it has beyond its target plus this part of the target: 1/4.
  int64_t hysteresis_divisor = 4;
  // One unit in this many is spread evenly.
  int64_t even_divisor = 20;
};

// Is a node with this many units about to run dry?
bool IsLow(int64_t units, int64_t milli_rate, const DemandPlanOptions& options = {});

// The deltas that meet the demand, or none. `receivers` ascend and may be given units; slices of other nodes are taken
// first. `pool_feeds` means that the SKU's units stay in the pool (it is not presplit): then a node gets what it sells
// in a few seconds instead of its whole share.
std::vector<storage::QuotaDelta> PlanForDemand(const storage::QuotaSnapshot& quota,
                                               absl::Span<const storage::IncarnationId> receivers,
                                               const DemandByNode& demand, bool pool_feeds = false,
                                               const DemandPlanOptions& options = {});

}  // namespace tranche::quota
