// The lanes of a group commit (group_commit.h): how a batch is sent, and what becomes of it when that fails.
#pragma once

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/ledger/ledger_error.h"
#include "storage/pipeline/group_commit.h"

namespace tranche::storage {

// What a lane must wait for before its next step.
enum class LaneNext {
  kStep,       // nothing
  kAwaitWork,  // requests: the queues are empty
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

  explicit GroupCommitLane(GroupCommit<Work>* group) : group_(group), work_(group->work_) {}
  GroupCommitLane(const GroupCommitLane&) = delete;
  GroupCommitLane& operator=(const GroupCommitLane&) = delete;

  // Calls the ledger at most once. Blocks for that call only.
  Next Step();

 private:
  using Batch = typename GroupCommit<Work>::Batch;
  using Results = std::vector<typename Work::Result>;

  Next Commit();
  Next AskForLedger();
  void Answer(Results results);
  void DropExpired();

  GroupCommit<Work>* const group_;
  Work work_;
  Batch batch_;                  // being built or sent; empty between two batches
  bool in_doubt_ = false;        // an earlier try of this batch may have been committed
  int transaction_retries_ = 0;  // of this batch
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
    batch_ = group_->TakeBatch();
    in_doubt_ = false;
    transaction_retries_ = 0;
  }
  if (batch_.empty()) return group_->Stopping() ? Next::kEnd : Next::kAwaitWork;
  return Commit();
}

// Tries once to commit the batch. It is answered here, or kept for another try.
template <typename Work>
LaneNext GroupCommitLane<Work>::Commit() {
  absl::StatusOr<Results> results = work_.Send(batch_);
  if (results.ok()) {
    group_->LedgerAnswers();
    Answer(*std::move(results));
    return Next::kStep;
  }
  const absl::Status& status = results.status();
  if (IsRetryTransaction(status) && ++transaction_retries_ <= group_->options_.max_transaction_retries) {
    return Next::kStep;
  }
  in_doubt_ = in_doubt_ || IsUnknownCommit(status);
  const bool up = LedgerIsUp(status);
  if (!in_doubt_) {
    // A role that has lost its right can do as little as one that reaches no server.
    const bool may_pass = absl::IsUnavailable(status) || absl::IsPermissionDenied(status);
    absl::Status refusal = absl::InternalError(status.message());
    if (may_pass) refusal = absl::IsUnavailable(status) ? status : absl::UnavailableError(status.message());
    group_->Refuse(std::exchange(batch_, {}), refusal);
    // A lock on a row lets others go on; one on a whole table does not, which a read shows.
    ledger_is_down_ = may_pass && !(up && (group_->Stopping() || work_.LedgerAnswers()));
    if (ledger_is_down_) group_->LedgerIsDown(status);
    return Next::kStep;
  }
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
  Batch again;
  int64_t answered = 0;
  for (size_t i = 0; i < batch.size(); ++i) {
    if (Work::MustGoAgain(results[i], &batch[i])) {
      again.push_back(std::move(batch[i]));
      continue;
    }
    std::move(batch[i].done)(std::move(results[i]));
    ++answered;
  }
  if (!again.empty()) group_->Requeue(std::move(again));
  group_->Finished(answered);
}

// In doubt and out of time: the caller is told that the outcome is unknown, and can find out with the same id.
template <typename Work>
void GroupCommitLane<Work>::DropExpired() {
  const absl::Time now = group_->clock_->Now();
  const bool stopping = group_->Stopping();
  const auto expired = std::stable_partition(batch_.begin(), batch_.end(),
                                             [&](const auto& item) { return item.deadline > now && !stopping; });
  Batch given_up(std::make_move_iterator(expired), std::make_move_iterator(batch_.end()));
  batch_.erase(expired, batch_.end());
  group_->Refuse(std::move(given_up), UnknownCommitError("the ledger's answer was lost"));
}

}  // namespace tranche::storage
