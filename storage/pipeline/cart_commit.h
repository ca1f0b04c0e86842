// Commits a cart by itself, and repeats it while its outcome is in doubt.
#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/clock.h"
#include "storage/ledger/lifecycle_ledger.h"

namespace tranche::storage {

// Blocks; `mode` as for LifecycleLedger::CommitCart. Until the deadline, repeats a try that was rolled back because of
// another transaction, and, always under the same ids, one whose answer was lost. An error is that of the last try, or
// IsUnknownCommit if an earlier one is in doubt.
absl::StatusOr<CartResult> CommitCart(LifecycleLedger& ledger, Clock& clock, IncarnationId incarnation, LockMode mode,
                                      absl::Span<const ReservationClaim> lines, absl::Time deadline);

}  // namespace tranche::storage
