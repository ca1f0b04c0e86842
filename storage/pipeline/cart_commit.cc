#include "storage/pipeline/cart_commit.h"

#include "storage/base/log_trace.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::storage {
namespace {

// A lost answer is asked for again at once. If that gets no answer either, the caller is told that the outcome is
// unknown, and may repeat the request.
constexpr int kMaxTries = 3;
constexpr int kMaxCartDeadlocks = 10;

}  // namespace

bool CartFoundLocked(const absl::StatusOr<CartResult>& result) {
  return result.ok() ? IsBusy(*result) : FoundLocked(result.status());
}

absl::StatusOr<CartResult> CommitCart(LifecycleLedger& ledger, Clock& clock, IncarnationId incarnation, LockMode mode,
                                      absl::Span<const ReservationClaim> lines, absl::Time deadline, bool* in_doubt,
                                      CommitMetrics* metrics) {
  // It may run on the thread of another cart.
  const ScopedTrace trace(lines.empty() ? nullptr : lines.front().trace);
  int deadlocks = 0;
  for (int tries = 0; tries < kMaxTries;) {
    const absl::Time begun_at = clock.Now();
    if (begun_at >= deadline) break;
    absl::StatusOr<CartResult> result = ledger.CommitCart(incarnation, mode, lines);
    const absl::Time now = clock.Now();
    metrics->NoteTry(lines.size(), now - begun_at, result.status(), now);
    if (CartFoundLocked(result)) return result;
    if (IsRetryTransaction(result.status()) && ++deadlocks < kMaxCartDeadlocks) continue;
    if (result.ok()) *in_doubt = false;
    if (IsUnknownCommit(result.status())) *in_doubt = true;
    if (!*in_doubt) return result;
    ++tries;
  }
  if (*in_doubt) return UnknownCommitError("the ledger's answer was lost");
  return absl::DeadlineExceededError("the deadline passed before it was sent");
}

}  // namespace tranche::storage
