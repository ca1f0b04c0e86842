#include "storage/pipeline/cart_commit.h"

#include "storage/ledger/ledger_error.h"

namespace tranche::storage {
namespace {

// A lost answer is asked for again at once. If that gets no answer either, the caller is told that the outcome is
// unknown, and may repeat the request.
constexpr int kMaxTries = 3;
constexpr int kMaxCartDeadlocks = 10;

}  // namespace

absl::StatusOr<CartResult> CommitCart(LifecycleLedger& ledger, Clock& clock, IncarnationId incarnation, LockMode mode,
                                      absl::Span<const ReservationClaim> lines, absl::Time deadline) {
  if (clock.Now() >= deadline) return absl::DeadlineExceededError("the deadline passed before it was sent");
  absl::Status doubt;
  int deadlocks = 0;
  for (int tries = 0; tries < kMaxTries;) {
    absl::StatusOr<CartResult> result = ledger.CommitCart(incarnation, mode, lines);
    // Busy, it says nothing about an earlier try.
    if (result.ok() && (doubt.ok() || !IsBusy(*result))) return result;
    if (IsRetryTransaction(result.status()) && ++deadlocks < kMaxCartDeadlocks) continue;
    if (IsUnknownCommit(result.status())) doubt = result.status();
    if (doubt.ok()) return result.status();
    ++tries;
    if (clock.Now() >= deadline) break;
  }
  return doubt;
}

}  // namespace tranche::storage
