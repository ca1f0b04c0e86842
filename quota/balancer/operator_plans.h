// Turns an operator's request into deltas of a SKU's quota: pure integer arithmetic, no I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "storage/ledger/quota_ledger.h"

namespace tranche::quota {

// The deltas after which `holder` has exactly `remaining` units left. What it gives up goes to the others of `live`,
// the poorest first, and not to the pool, from which the balancer would hand it back. What it gets comes from the pool,
// then from the others in proportion to what they have. nullopt if there are not that many units.
std::optional<std::vector<storage::QuotaDelta>> SetRemaining(const storage::QuotaSnapshot& quota,
                                                             absl::Span<const storage::IncarnationId> live,
                                                             storage::IncarnationId holder, int64_t remaining);

// The deltas that take `units` from one holder to another; either may be the pool, and they differ. nullopt if `from`
// has fewer left.
std::optional<std::vector<storage::QuotaDelta>> MoveBetween(const storage::QuotaSnapshot& quota,
                                                            storage::IncarnationId from, storage::IncarnationId to,
                                                            int64_t units);

struct WeightedReceiver {
  storage::IncarnationId incarnation = storage::kPool;
  int64_t weight = 0;
};

// The deltas that share all unsold units of the SKU (pool and slices) among the receivers in proportion to their
// weights, exactly as ShareByWeight does. Slices of others are withdrawn. A second run changes nothing. Receivers are
// distinct; their weights are >= 0 and sum to more than 0.
std::vector<storage::QuotaDelta> WeightedShares(const storage::QuotaSnapshot& quota,
                                                absl::Span<const WeightedReceiver> receivers);

// A rate as an integer weight, in thousandths. NaN and rates that are not positive weigh nothing.
int64_t WeightOfRate(double units_per_s);

}  // namespace tranche::quota
