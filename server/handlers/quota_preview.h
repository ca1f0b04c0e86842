// What a move of units would lead to.
#pragma once

#include "absl/types/span.h"
#include "storage/ledger/quota_ledger.h"

namespace tranche::server {

// The quota after the ledger's move_units with these deltas: withdrawals first (at most what a slice has left), then
// deposits in the order given (at most what the pool then has). Treats every receiving holder as live. Pure.
storage::QuotaSnapshot QuotaAfter(const storage::QuotaSnapshot& before, absl::Span<const storage::QuotaDelta> deltas);

// The holder's slice; an empty one if it has none.
storage::HeldSlice SliceOf(const storage::QuotaSnapshot& quota, storage::IncarnationId holder);

}  // namespace tranche::server
