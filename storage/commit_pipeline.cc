#include "storage/commit_pipeline.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "glog/logging.h"
#include "storage/ledger_error.h"

namespace tranche::storage {

struct CommitPipeline::Pending {
  IncarnationId incarnation;
  ReservationClaim claim;
  absl::Time deadline;
  CommitDone done;
  // The slots that were free had too few units: next time wait for the locked ones.
  bool must_wait = false;
};

// One thread that commits one batch after the other.
class CommitPipeline::Lane {
 public:
  explicit Lane(CommitPipeline* pipeline) : pipeline_(pipeline) {}

  void Run() {
    while (true) {
      Batch batch = pipeline_->TakeBatch();
      if (batch.empty()) return;
      Commit(std::move(batch));
    }
  }

 private:
  // Commits one batch, however often that has to be tried, and answers all of it.
  void Commit(Batch batch) {
    bool in_doubt = false;  // some earlier try of this batch may have been committed
    int transaction_retries = 0;
    while (!batch.empty()) {
      absl::StatusOr<std::vector<CommitResult>> results = Send(batch);
      if (results.ok()) {
        pipeline_->SetLedgerAnswers(true);
        return Answer(std::move(batch), *std::move(results));
      }
      const absl::Status& status = results.status();
      if (IsRetryTransaction(status) && ++transaction_retries <= pipeline_->options_.max_transaction_retries) continue;
      in_doubt = in_doubt || IsUnknownCommit(status);
      if (!in_doubt) {
        const bool down = absl::IsUnavailable(status);
        if (down) pipeline_->SetLedgerAnswers(false);
        AnswerAll(std::move(batch), down ? status : absl::InternalError(status.message()));
        if (down) WaitForLedger();
        return;
      }
      pipeline_->SetLedgerAnswers(false);
      batch = DropExpired(std::move(batch));
      if (!batch.empty()) PauseBeforeRetry();
    }
    WaitForLedger();
  }

  absl::StatusOr<std::vector<CommitResult>> Send(const Batch& batch) {
    claims_.clear();
    bool must_wait = false;
    for (const Pending& pending : batch) {
      claims_.push_back(pending.claim);
      must_wait = must_wait || pending.must_wait;
    }
    const LockMode mode = must_wait ? LockMode::kWait : pipeline_->options_.first_lock_mode;
    return pipeline_->ledger_->CommitReservations(batch.front().incarnation, mode, claims_);
  }

  void Answer(Batch batch, std::vector<CommitResult> results) {
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

  void AnswerAll(Batch batch, const absl::Status& status) {
    for (Pending& pending : batch) std::move(pending.done)(status);
    pipeline_->Finished(static_cast<int64_t>(batch.size()));
  }

  // In doubt and out of time: the caller learns that the outcome is unknown, and finds out with the same id.
  Batch DropExpired(Batch batch) {
    const absl::Time now = pipeline_->clock_->Now();
    const auto expired = std::stable_partition(batch.begin(), batch.end(), [&](const Pending& pending) {
      return pending.deadline > now && !pipeline_->Stopping();
    });
    Batch given_up(std::make_move_iterator(expired), std::make_move_iterator(batch.end()));
    batch.erase(expired, batch.end());
    AnswerAll(std::move(given_up), UnknownCommitError("the ledger's answer was lost"));
    return batch;
  }

  void PauseBeforeRetry() {
    absl::MutexLock lock(&pipeline_->mutex_);
    pipeline_->mutex_.AwaitWithTimeout(absl::Condition(&pipeline_->stopping_), pipeline_->options_.retry_interval);
  }

  // Asks until the ledger answers again, so that callers meanwhile are refused without waiting for it.
  void WaitForLedger() {
    const Uuid nobody{};
    while (!pipeline_->Stopping()) {
      const auto found = pipeline_->ledger_->FindReservation(nobody);
      if (found.ok() || absl::IsNotFound(found.status())) {
        pipeline_->SetLedgerAnswers(true);
        return;
      }
      PauseBeforeRetry();
    }
  }

  CommitPipeline* const pipeline_;
  std::vector<ReservationClaim> claims_;
};

CommitPipeline::CommitPipeline(ReservationLedger* ledger, Clock* clock, PipelineOptions options)
    : ledger_(ledger), clock_(clock), options_(options) {
  CHECK(options_.lanes >= 1 && options_.max_queue >= 1);
  CHECK(options_.max_batch >= 1 && options_.max_batch <= kMaxBatch);
  for (int i = 0; i < options_.lanes; ++i) {
    lanes_.emplace_back([this] { Lane(this).Run(); });
  }
}

CommitPipeline::~CommitPipeline() {
  std::deque<Pending> refused;
  {
    absl::MutexLock lock(&mutex_);
    accepting_ = false;
    stopping_ = true;
    refused.swap(queue_);
  }
  for (Pending& pending : refused) std::move(pending.done)(absl::CancelledError("shutting down"));
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
      queue_.push_back(Pending{incarnation, std::move(claim), deadline, std::move(done)});
      ++unanswered_;
      return;
    }
  }
  std::move(done)(std::move(refusal));
}

// Waits for claims and takes those at the head that share an incarnation, with distinct ids. Empty: stopping.
CommitPipeline::Batch CommitPipeline::TakeBatch() {
  while (true) {
    Batch batch;
    Batch expired;
    {
      absl::MutexLock lock(&mutex_);
      const auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || !queue_.empty(); };
      mutex_.Await(absl::Condition(&has_work));
      if (queue_.empty()) return batch;
      const absl::Time now = clock_->Now();
      absl::flat_hash_set<Uuid> ids;
      while (!queue_.empty() && batch.size() < static_cast<size_t>(options_.max_batch)) {
        Pending& next = queue_.front();
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
    for (Pending& pending : expired) {
      std::move(pending.done)(absl::DeadlineExceededError("the deadline passed before the claim was sent"));
    }
    Finished(static_cast<int64_t>(expired.size()));
    if (!batch.empty()) return batch;
  }
}

void CommitPipeline::Requeue(Batch batch) {
  absl::MutexLock lock(&mutex_);
  // At the head: they have waited longest. The bound holds, since they were counted when they were first accepted.
  queue_.insert(queue_.begin(), std::make_move_iterator(batch.begin()), std::make_move_iterator(batch.end()));
}

void CommitPipeline::SetLedgerAnswers(bool answers) {
  std::deque<Pending> refused;
  {
    absl::MutexLock lock(&mutex_);
    if (ledger_answers_ == answers) return;
    ledger_answers_ = answers;
    if (!answers) refused.swap(queue_);
  }
  LOG(WARNING) << (answers ? "the ledger answers again"
                           : "the ledger does not answer: reservations are refused until it does");
  for (Pending& pending : refused) std::move(pending.done)(absl::UnavailableError("the ledger does not answer"));
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
  return PipelineStats{static_cast<int64_t>(queue_.size()), batches_, claims_, ledger_answers_};
}

}  // namespace tranche::storage
