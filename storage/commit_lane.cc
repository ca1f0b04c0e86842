#include "storage/commit_lane.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "storage/ledger_error.h"

namespace tranche::storage {

CommitLane::Next CommitLane::Step() {
  if (ledger_is_down_) return AskForLedger();
  if (batch_.empty()) {
    batch_ = pipeline_->TakeBatch();
    in_doubt_ = false;
    transaction_retries_ = 0;
  }
  if (batch_.empty()) return pipeline_->Stopping() ? Next::kEnd : Next::kAwaitWork;
  return Commit();
}

// Tries once to commit the batch. It is answered here, or kept for another try.
CommitLane::Next CommitLane::Commit() {
  absl::StatusOr<std::vector<CommitResult>> results = Send();
  if (results.ok()) {
    pipeline_->SetLedgerAnswers(true);
    Answer(*std::move(results));
    return Next::kStep;
  }
  const absl::Status& status = results.status();
  if (IsRetryTransaction(status) && ++transaction_retries_ <= pipeline_->options_.max_transaction_retries) {
    return Next::kStep;
  }
  in_doubt_ = in_doubt_ || IsUnknownCommit(status);
  if (!in_doubt_) {
    ledger_is_down_ = absl::IsUnavailable(status);
    if (ledger_is_down_) pipeline_->SetLedgerAnswers(false);
    AnswerAll(std::exchange(batch_, {}), ledger_is_down_ ? status : absl::InternalError(status.message()));
    return Next::kStep;
  }
  pipeline_->SetLedgerAnswers(false);
  DropExpired();
  ledger_is_down_ = batch_.empty();
  return ledger_is_down_ ? Next::kStep : Next::kPause;
}

absl::StatusOr<std::vector<CommitResult>> CommitLane::Send() {
  claims_.clear();
  bool must_wait = false;
  for (const PendingCommit& pending : batch_) {
    claims_.push_back(pending.claim);
    must_wait = must_wait || pending.must_wait;
  }
  const LockMode mode = must_wait ? LockMode::kWait : pipeline_->options_.first_lock_mode;
  return pipeline_->ledger_->CommitReservations(batch_.front().incarnation, mode, claims_);
}

// Asks whether the ledger answers again, so that callers meanwhile are refused without waiting for it.
CommitLane::Next CommitLane::AskForLedger() {
  const Uuid nobody{};
  const bool stopping = pipeline_->Stopping();
  const auto found = stopping ? absl::NotFoundError("not asked") : pipeline_->ledger_->FindReservation(nobody);
  if (!found.ok() && !absl::IsNotFound(found.status())) return Next::kPause;
  ledger_is_down_ = false;
  if (!stopping) pipeline_->SetLedgerAnswers(true);
  return Next::kStep;
}

void CommitLane::Answer(std::vector<CommitResult> results) {
  Batch batch = std::exchange(batch_, {});
  Batch busy;
  int64_t answered = 0;
  for (size_t i = 0; i < batch.size(); ++i) {
    CommitResult& result = results[i];
    if (result.outcome == CommitOutcome::kBusy) {
      batch[i].must_wait = true;
      busy.push_back(std::move(batch[i]));
      continue;
    }
    std::move(batch[i].done)(std::move(result));
    ++answered;
  }
  if (!busy.empty()) pipeline_->Requeue(std::move(busy));
  pipeline_->Finished(answered);
}

void CommitLane::AnswerAll(Batch batch, const absl::Status& status) {
  for (PendingCommit& pending : batch) std::move(pending.done)(status);
  pipeline_->Finished(static_cast<int64_t>(batch.size()));
}

// In doubt and out of time: the caller learns that the outcome is unknown, and finds out with the same id.
void CommitLane::DropExpired() {
  const absl::Time now = pipeline_->clock_->Now();
  const bool stopping = pipeline_->Stopping();
  const auto expired = std::stable_partition(
      batch_.begin(), batch_.end(), [&](const PendingCommit& pending) { return pending.deadline > now && !stopping; });
  Batch given_up(std::make_move_iterator(expired), std::make_move_iterator(batch_.end()));
  batch_.erase(expired, batch_.end());
  AnswerAll(std::move(given_up), UnknownCommitError("the ledger's answer was lost"));
}

}  // namespace tranche::storage
