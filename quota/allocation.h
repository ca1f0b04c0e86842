// Who gets how many units: pure integer arithmetic, no I/O.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "absl/types/span.h"
#include "storage/ledger.h"

namespace tranche::quota {

// Shares `units` in proportion to `weights` by the largest remainder method (Hamilton): the shares are integers, sum to
// `units` exactly, and each is its exact share rounded down or up. Ties go to the earlier position. Weights are >= 0
// and sum to more than 0; units >= 0.
std::vector<int64_t> ShareByWeight(int64_t units, absl::Span<const int64_t> weights);

// The deltas that give every live incarnation an equal share of all unsold units of the SKU (pool and slices). Odd
// units go to the `dry` first (those of `live` that have nothing and buyers before them), then to those that have most
// already, so that without dry ones a second run changes nothing. Slices of incarnations that are not in `live` are
// withdrawn. No live incarnation: no deltas.
// Units are handed out in whole lots (buyers who want two units each are not served by nodes that have one each); what
// is left of the last lot goes to whom comes first.
std::vector<storage::QuotaDelta> EqualShares(const storage::QuotaSnapshot& quota,
                                             absl::Span<const storage::IncarnationId> live,
                                             const std::set<storage::IncarnationId>& dry = {}, int64_t lot = 1);

// The deltas that hand out only what the pool has, bringing the poorest of `live` up first (so equal shares where they
// all have the same). Withdraws nothing.
std::vector<storage::QuotaDelta> SharePool(const storage::QuotaSnapshot& quota,
                                           absl::Span<const storage::IncarnationId> live);

}  // namespace tranche::quota
