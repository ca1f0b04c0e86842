// Who gets how many units: pure integer arithmetic, no I/O.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "storage/ledger/quota_ledger.h"

namespace tranche::quota {

// The most nodes that give units of one SKU at once: each costs a changed slice and its announcement.
inline constexpr int64_t kMostDonors = 64;

absl::flat_hash_map<storage::IncarnationId, int64_t> RemainingByHolder(const storage::QuotaSnapshot& quota);

// Shares `units` in proportion to `weights` by the largest remainder method (Hamilton): the shares are integers, sum to
// `units` exactly, and each is its exact share rounded down or up. Ties go to the earlier position. Weights are >= 0
// and sum to more than 0; units >= 0.
std::vector<int64_t> ShareByWeight(int64_t units, absl::Span<const int64_t> weights);

// The deltas that give every live incarnation an equal share of all unsold units of the SKU (pool and slices). Odd
// units go to those that have most already, so that a second run changes nothing. Slices of incarnations that are not
// in `live` are withdrawn. If `live` is empty, there are no deltas.
std::vector<storage::QuotaDelta> EqualShares(const storage::QuotaSnapshot& quota,
                                             absl::Span<const storage::IncarnationId> live);

// The deltas that bring each of `newcomers` up to an equal share, from the pool and then from those of `live` that have
// the most, which are lowered to a common level. If there are very many of these, only some give. Nothing else moves.
std::vector<storage::QuotaDelta> ShareWithNewcomers(const storage::QuotaSnapshot& quota,
                                                    absl::Span<const storage::IncarnationId> live,
                                                    const std::set<storage::IncarnationId>& newcomers);

// The deltas that hand out only what the pool has, bringing the poorest of `live` up first (so they get equal shares if
// they all have the same). Withdraws nothing.
std::vector<storage::QuotaDelta> SharePool(const storage::QuotaSnapshot& quota,
                                           absl::Span<const storage::IncarnationId> live);

}  // namespace tranche::quota
