// Commits a cart by itself, and repeats it while its outcome is in doubt.
#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/clock.h"
#include "storage/ledger/lifecycle_ledger.h"
#include "storage/pipeline/commit_metrics.h"

namespace tranche::storage {

// Did it fail because something is locked? Then this try has changed nothing.
bool CartFoundLocked(const absl::StatusOr<CartResult>& result);

// Blocks; `mode` as for LifecycleLedger::CommitCart. Until the deadline, repeats a try that was rolled back because of
// another transaction, and, always under the same ids, one whose answer was lost. `in_doubt` says whether an earlier
// try may have been committed, and then whether any may. What is locked is told to the caller in any case, who may try
// again later; any other error is IsUnknownCommit while a try is in doubt. Each try is counted in `metrics`.
absl::StatusOr<CartResult> CommitCart(LifecycleLedger& ledger, Clock& clock, IncarnationId incarnation, LockMode mode,
                                      absl::Span<const ReservationClaim> lines, absl::Time deadline, bool* in_doubt,
                                      CommitMetrics* metrics);

}  // namespace tranche::storage
