// The lanes of a group commit (group_commit.h): how a batch is sent, and what becomes of it when that fails.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/ledger/ledger_error.h"
#include "storage/ledger/reservation_ledger.h"
#include "storage/pipeline/batch_report.h"
#include "storage/pipeline/group_commit.h"

namespace tranche::storage {

// What a lane must wait for before its next step.
enum class LaneNext {
  kStep,       // nothing
  kAwaitWork,  // requests that are not slow; if slow ones wait, at most PipelineOptions::retry_interval
  kPause,      // PipelineOptions::retry_interval: the ledger does not answer
  kEnd,        // the pipeline is shutting down, and nothing is left to do
};

// One lane: commits one batch after the other, a step at a time.
//
// A thread of the pipeline runs it as "step, then wait for what it says". The simulation makes its own lanes on a
// pipeline without threads and runs them in the same way, with its own kind of waiting.
//
// Used by one thread at a time. Outlived by the pipeline. If a lane is destroyed in the middle of a batch, its requests
// are never answered, as if the process had died.
template <typename Work>
class GroupCommitLane {
 public:
  using Next = LaneNext;

  explicit GroupCommitLane(GroupCommit<Work>* group)
      : group_(group), work_(group->work_), max_batch_(static_cast<size_t>(group->options_.max_batch)) {}
  GroupCommitLane(const GroupCommitLane&) = delete;
  GroupCommitLane& operator=(const GroupCommitLane&) = delete;

  // Sends at most once. Blocks for the ledger only.
  Next Step();

 private:
  using Batch = typename GroupCommit<Work>::Batch;
  using Results = std::vector<typename Work::Result>;

  Next Commit();
  LockMode ModeOfTry() const;
  // After a failure of this batch alone: changes how it is tried next.
  Next GiveWay(const absl::Status& status);
  // After any other failure.
  Next Fail(const absl::Status& status);
  Next AskForLedger();
  void Answer(Results results);
  void DropExpired();
  // Moves those that `stays` does not want out of the batch.
  template <typename Predicate>
  Batch TakeOut(const Predicate& stays);

  GroupCommit<Work>* const group_;
  Work work_;
  Batch batch_;                  // being built or sent; empty between two batches
  bool slow_ = false;            // it is from the slow queue
  bool no_wait_ = false;         // it is sent without waiting for locks
  int transaction_retries_ = 0;  // of this batch
  size_t max_batch_;             // less than the option's while the server lacks something
  BatchReport report_;
  bool ledger_is_down_ = false;  // no batch is taken until it answers again
};

template <typename Work>
void GroupCommit<Work>::RunLane() {
  GroupCommitLane<Work> lane(this);
  while (true) {
    switch (lane.Step()) {
      case LaneNext::kStep:
        break;
      case LaneNext::kAwaitWork:
        AwaitWork();
        break;
      case LaneNext::kPause:
        PauseBeforeRetry();
        break;
      case LaneNext::kEnd:
        return;
    }
  }
}

template <typename Work>
LaneNext GroupCommitLane<Work>::Step() {
  if (ledger_is_down_) return AskForLedger();
  if (batch_.empty()) {
    auto taken = group_->TakeBatch(max_batch_, slow_);
    batch_ = std::move(taken.batch);
    slow_ = taken.slow;
    no_wait_ = slow_;
    transaction_retries_ = 0;
    // First: their callers may still listen, for a moment.
    group_->RefuseLate(std::move(taken.expired));
  }
  if (batch_.empty()) return group_->Stopping() ? Next::kEnd : Next::kAwaitWork;
  return Commit();
}

// Tries once to commit the batch. It is answered here, or kept for another try.
template <typename Work>
LaneNext GroupCommitLane<Work>::Commit() {
  const absl::Time began_at = group_->clock_->Now();
  absl::StatusOr<Results> results = work_.Send(batch_, ModeOfTry());
  const absl::Time now = group_->clock_->Now();
  report_.template Note<Work>(batch_, now - began_at, results.status(), now);
  group_->MetricsOf(batch_.front()).NoteTry(batch_.size(), now - began_at, results.status(), now);
  if (results.ok()) {
    group_->LedgerAnswers();
    max_batch_ = std::min(max_batch_ + max_batch_ / 8 + 1, static_cast<size_t>(group_->options_.max_batch));
    Answer(*std::move(results));
    return Next::kStep;
  }
  const absl::Status& status = results.status();
  if (IsRetryTransaction(status) && ++transaction_retries_ <= group_->options_.max_transaction_retries) {
    return Next::kStep;
  }
  if (IsUnknownCommit(status)) {
    for (auto& item : batch_) item.in_doubt = true;
  } else if (LedgerIsUp(status)) {
    return GiveWay(status);
  }
  return Fail(status);
}

// After a wait in vain there must be time for a try without waiting, and for its answers.
template <typename Work>
LockMode GroupCommitLane<Work>::ModeOfTry() const {
  if (no_wait_) return LockMode::kNoWait;
  const absl::Time over = group_->clock_->Now() + group_->options_.lock_wait + group_->options_.retry_interval;
  const bool hurry =
      std::any_of(batch_.begin(), batch_.end(), [over](const auto& item) { return item.deadline < over; });
  return hurry ? LockMode::kWaitBriefly : LockMode::kWait;
}

template <typename Work>
LaneNext GroupCommitLane<Work>::GiveWay(const absl::Status& status) {
  DropExpired();
  if (batch_.empty()) {
    // An answer of this batch was lost before, which said that the ledger is down: somebody must ask whether it is.
    ledger_is_down_ = !group_->Answers();
    return Next::kStep;
  }
  if (IsNoConnection(status)) {
    // The call has waited for one. Those whose deadlines have passed in the queue meanwhile are answered first.
    group_->LedgerAnswers();
    group_->Requeue(std::exchange(batch_, {}), /*locked=*/false);
    return Next::kStep;
  }
  if (!NeedsLess(status)) {
    if (!std::exchange(no_wait_, true)) return Next::kStep;
    // Locked rows were skipped. What is left is one that an insert waits for, which lets others go on, or a lock on a
    // whole table, which does not. A read shows it.
    if (!group_->Stopping() && !work_.LedgerAnswers()) return Fail(absl::UnavailableError(status.message()));
  }
  group_->LedgerAnswers();
  if (batch_.size() == 1) {
    group_->Requeue(std::exchange(batch_, {}), /*locked=*/true);
    return Next::kStep;
  }
  max_batch_ = batch_.size() / 2;
  const auto half = batch_.begin() + static_cast<std::ptrdiff_t>(max_batch_);
  Batch rest(std::make_move_iterator(half), std::make_move_iterator(batch_.end()));
  batch_.erase(half, batch_.end());
  group_->Requeue(std::move(rest), /*locked=*/false);
  return Next::kStep;
}

template <typename Work>
LaneNext GroupCommitLane<Work>::Fail(const absl::Status& status) {
  // A role that has lost its right can do as little as one that reaches no server.
  const bool may_pass = absl::IsUnavailable(status) || absl::IsPermissionDenied(status);
  absl::Status refusal = absl::InternalError(status.message());
  if (may_pass) refusal = absl::IsUnavailable(status) ? status : absl::UnavailableError(status.message());
  group_->Refuse(TakeOut([](const auto& item) { return item.in_doubt; }), refusal);
  if (batch_.empty()) {
    ledger_is_down_ = may_pass;
    if (ledger_is_down_) group_->LedgerIsDown(status);
    return Next::kStep;
  }
  const bool up = LedgerIsUp(status);
  if (up) {
    group_->LedgerAnswers();
  } else {
    group_->LedgerIsDown(status);
  }
  DropExpired();
  ledger_is_down_ = !up && batch_.empty();
  return batch_.empty() ? Next::kStep : Next::kPause;
}

// Asks whether the ledger answers again, so that callers are meanwhile refused without waiting for it.
template <typename Work>
LaneNext GroupCommitLane<Work>::AskForLedger() {
  const bool stopping = group_->Stopping();
  if (!stopping && !work_.LedgerAnswers()) return Next::kPause;
  ledger_is_down_ = false;
  if (!stopping) group_->LedgerAnswers();
  return Next::kStep;
}

template <typename Work>
void GroupCommitLane<Work>::Answer(Results results) {
  Batch batch = std::exchange(batch_, {});
  Batch again, answered;
  bool locked = false;
  for (size_t i = 0; i < batch.size(); ++i) {
    const GoAgain go_again = Work::MustGoAgain(results[i], &batch[i]);
    locked = locked || go_again == GoAgain::kOnceFree;
    if (go_again == GoAgain::kNo) std::move(batch[i].done)(std::move(results[i]));
    (go_again == GoAgain::kNo ? answered : again).push_back(std::move(batch[i]));
  }
  locked = locked && (no_wait_ || !Work::kWaitsNextTime);
  if (!again.empty()) group_->Requeue(std::move(again), locked);
  group_->Finished(answered);
}

// Of those in doubt the caller is told so, and can find out with the same id.
template <typename Work>
void GroupCommitLane<Work>::DropExpired() {
  if (group_->Stopping()) {
    group_->Refuse(std::exchange(batch_, {}), absl::CancelledError("shutting down"));
    return;
  }
  const absl::Time now = group_->clock_->Now();
  group_->RefuseLate(TakeOut([now](const auto& item) { return item.deadline > now; }));
}

template <typename Work>
template <typename Predicate>
typename GroupCommitLane<Work>::Batch GroupCommitLane<Work>::TakeOut(const Predicate& stays) {
  const auto leave = std::stable_partition(batch_.begin(), batch_.end(), stays);
  Batch out(std::make_move_iterator(leave), std::make_move_iterator(batch_.end()));
  batch_.erase(leave, batch_.end());
  return out;
}

}  // namespace tranche::storage
