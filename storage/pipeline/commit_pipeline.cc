#include "storage/pipeline/commit_pipeline.h"

#include <utility>

namespace tranche::storage {

GoAgain ClaimWork::MustGoAgain(const Result& result, Item* item) {
  if (result.outcome == CommitOutcome::kDepends) return GoAgain::kAtOnce;
  if (result.outcome != CommitOutcome::kBusy) return GoAgain::kNo;
  item->must_wait = true;
  return GoAgain::kOnceFree;
}

absl::StatusOr<std::vector<CommitResult>> ClaimWork::Send(absl::Span<const Item> batch, LockMode mode) {
  claims_.clear();
  bool must_wait = false;
  for (const PendingCommit& pending : batch) {
    claims_.push_back(pending.claim);
    must_wait = must_wait || pending.must_wait;
  }
  const bool skips = first_lock_mode_ == LockMode::kSkipLocked && MayWait(mode) && !must_wait;
  if (skips) mode = LockMode::kSkipLocked;
  return ledger_->CommitReservations(batch.front().incarnation, mode, claims_);
}

bool ClaimWork::LedgerAnswers() {
  const Uuid nobody{};
  const auto found = ledger_->FindReservation(nobody);
  return found.ok() || absl::IsNotFound(found.status());
}

void CommitPipeline::Submit(IncarnationId incarnation, ReservationClaim claim, absl::Time deadline, CommitDone done) {
  group_.Submit(PendingCommit{incarnation, std::move(claim), deadline, std::move(done)});
}

}  // namespace tranche::storage
