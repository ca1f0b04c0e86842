// How a cart is committed: alone, and again while its outcome is in doubt.
#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/clock.h"
#include "storage/ledger/lifecycle_ledger.h"

namespace tranche::storage {

// Blocks. Repeats what was rolled back for another transaction's sake, and, always under the same ids, what lost its
// answer, until the deadline. An error is that of the last try, or IsUnknownCommit where an earlier one is in doubt.
absl::StatusOr<CartResult> CommitCart(LifecycleLedger& ledger, Clock& clock, IncarnationId incarnation,
                                      absl::Span<const ReservationClaim> lines, absl::Time deadline);

}  // namespace tranche::storage
