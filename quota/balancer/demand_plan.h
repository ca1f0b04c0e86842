// Who should get units when nodes run dry: pure integer arithmetic, no I/O.
//
// Units follow demand. Each node's target is its share of all unsold units in proportion to its recent requests, by the
// largest remainder method; a small part is spread evenly, so that idle nodes keep something for their next buyer. Only
// nodes that are dry, or about to be, receive, and they receive from the pool first, then from slices that are out of
// the sale, then from idle ones, then from those with clearly more than their target. A node that sells what it has by
// itself within a moment keeps it. So units do not travel back and forth, and a balanced sale moves nothing.
//
// The last units find the buyers: a dry node gets at least the quantity that its buyers ask for as long as that many
// units exist anywhere, gathered from whatever slices cannot use them.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "absl/types/span.h"
#include "storage/ledger/quota_ledger.h"

namespace tranche::quota {

// What one node says of one SKU.
struct NodeDemand {
  // The smallest quantity that it could not serve; 0: it serves all.
  int64_t wanted = 0;
  // Units asked for per second, granted or not, times 1000.
  int64_t milli_rate = 0;
  // What it could still grant, by the announcement of `slice_version`. The ledger says more while claims are in flight.
  int64_t free = 0;
  int64_t slice_version = -1;  // not known
};

// Nodes that are not in it have no activity.
using DemandByNode = std::map<storage::IncarnationId, NodeDemand>;

struct DemandPlanOptions {
  // A node with less than this much of its demand left receives before it is dry.
  int64_t low_water_ms = 250;
  // A node that sells all it has within this time keeps it, whoever else is dry.
  int64_t keep_ms = 200;
  // A node that sells gives only what it has above its target and this much more, as a part of the target: 1/4.
  int64_t hysteresis_divisor = 4;
  // One unit in so many is spread evenly.
  int64_t even_divisor = 20;
};

// Is a node with so many units about to run dry?
bool IsLow(int64_t units, int64_t milli_rate, const DemandPlanOptions& options = {});

// The deltas that meet the demand, or none. `receivers` are ascending and may be given units; slices of others are
// taken first. `pool_feeds` says that the SKU's units live in the pool (it is not presplit): then a node gets what it
// sells in a few seconds instead of its whole share.
std::vector<storage::QuotaDelta> PlanForDemand(const storage::QuotaSnapshot& quota,
                                               absl::Span<const storage::IncarnationId> receivers,
                                               const DemandByNode& demand, bool pool_feeds = false,
                                               const DemandPlanOptions& options = {});

}  // namespace tranche::quota
