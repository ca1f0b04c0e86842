#include "storage/commit_pipeline.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "glog/logging.h"
#include "storage/commit_lane.h"

namespace tranche::storage {

CommitPipeline::CommitPipeline(ReservationLedger* ledger, Clock* clock, PipelineOptions options)
    : ledger_(ledger), clock_(clock), options_(options) {
  CHECK(options_.lanes >= 0 && options_.max_queue >= 1);
  CHECK(options_.max_batch >= 1 && options_.max_batch <= kMaxBatch);
  for (int i = 0; i < options_.lanes; ++i) {
    lanes_.emplace_back([this] { RunLane(); });
  }
}

CommitPipeline::~CommitPipeline() {
  std::deque<PendingCommit> refused;
  {
    absl::MutexLock lock(&mutex_);
    accepting_ = false;
    stopping_ = true;
    refused.swap(queue_);
  }
  for (PendingCommit& pending : refused) std::move(pending.done)(absl::CancelledError("shutting down"));
  for (std::thread& lane : lanes_) lane.join();
}

void CommitPipeline::Submit(IncarnationId incarnation, ReservationClaim claim, absl::Time deadline, CommitDone done) {
  absl::Status refusal;
  {
    absl::MutexLock lock(&mutex_);
    if (!accepting_) {
      refusal = absl::CancelledError("shutting down");
    } else if (!ledger_answers_) {
      refusal = absl::UnavailableError("the ledger does not answer");
    } else if (queue_.size() >= static_cast<size_t>(options_.max_queue)) {
      refusal = absl::ResourceExhaustedError("too many claims wait for the ledger");
    } else {
      queue_.push_back(PendingCommit{incarnation, std::move(claim), deadline, std::move(done)});
      ++unanswered_;
      return;
    }
  }
  std::move(done)(std::move(refusal));
}

void CommitPipeline::RunLane() {
  CommitLane lane(this);
  while (true) {
    switch (lane.Step()) {
      case CommitLane::Next::kStep:
        break;
      case CommitLane::Next::kAwaitWork:
        AwaitWork();
        break;
      case CommitLane::Next::kPause:
        PauseBeforeRetry();
        break;
      case CommitLane::Next::kEnd:
        return;
    }
  }
}

void CommitPipeline::AwaitWork() {
  absl::MutexLock lock(&mutex_);
  const auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || !queue_.empty(); };
  mutex_.Await(absl::Condition(&has_work));
}

void CommitPipeline::PauseBeforeRetry() {
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(&stopping_), options_.retry_interval);
}

// Takes the claims at the head that share an incarnation, with distinct ids. Empty: none waits.
CommitPipeline::Batch CommitPipeline::TakeBatch() {
  Batch batch;
  Batch expired;
  {
    absl::MutexLock lock(&mutex_);
    const absl::Time now = clock_->Now();
    absl::flat_hash_set<Uuid> ids;
    while (!queue_.empty() && batch.size() < static_cast<size_t>(options_.max_batch)) {
      PendingCommit& next = queue_.front();
      if (next.deadline <= now) {
        expired.push_back(std::move(next));
      } else if (!batch.empty() && next.incarnation != batch.front().incarnation) {
        break;
      } else if (!ids.insert(next.claim.reservation_id).second) {
        break;  // the same id again: it is a replay of the one before it, once that is decided
      } else {
        batch.push_back(std::move(next));
      }
      queue_.pop_front();
    }
    batches_ += batch.empty() ? 0 : 1;
    claims_ += batch.size();
  }
  for (PendingCommit& pending : expired) {
    std::move(pending.done)(absl::DeadlineExceededError("the deadline passed before the claim was sent"));
  }
  Finished(static_cast<int64_t>(expired.size()));
  return batch;
}

void CommitPipeline::Requeue(Batch batch) {
  absl::MutexLock lock(&mutex_);
  // At the head: they have waited longest. The bound holds, since they were counted when they were first accepted.
  queue_.insert(queue_.begin(), std::make_move_iterator(batch.begin()), std::make_move_iterator(batch.end()));
}

void CommitPipeline::SetLedgerAnswers(bool answers) {
  std::deque<PendingCommit> refused;
  {
    absl::MutexLock lock(&mutex_);
    if (ledger_answers_ == answers) return;
    ledger_answers_ = answers;
    if (!answers) refused.swap(queue_);
  }
  LOG(WARNING) << (answers ? "the ledger answers again"
                           : "the ledger does not answer: reservations are refused until it does");
  for (PendingCommit& pending : refused) std::move(pending.done)(absl::UnavailableError("the ledger does not answer"));
  Finished(static_cast<int64_t>(refused.size()));
}

bool CommitPipeline::Stopping() const {
  absl::MutexLock lock(&mutex_);
  return stopping_;
}

void CommitPipeline::Finished(int64_t claims) {
  if (claims == 0) return;
  absl::MutexLock lock(&mutex_);
  unanswered_ -= claims;
}

bool CommitPipeline::Drain(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  accepting_ = false;
  const auto all_answered = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return unanswered_ == 0; };
  return mutex_.AwaitWithTimeout(absl::Condition(&all_answered), timeout);
}

PipelineStats CommitPipeline::Stats() const {
  absl::MutexLock lock(&mutex_);
  return PipelineStats{static_cast<int64_t>(queue_.size()), unanswered_, batches_, claims_, ledger_answers_};
}

}  // namespace tranche::storage
