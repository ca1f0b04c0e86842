// Group commit: turns single requests into batches for the ledger.
//
// A few lanes, each run by a thread, share bounded queues. A lane takes what is waiting, up to max_batch, and sends it
// at once: it never waits to fill a batch. While its batch is in flight, the next one forms.
//
//   Submit -> queue -> lane: requests that go together, distinct ids -> Work::Send -> done(result) per request
//
// A lost answer (unknown commit) is settled by sending the batch again under the same ids until the ledger answers or
// the request's deadline passes. While the ledger does not answer, waiting and new requests are refused at once. A
// batch that fails while the ledger is up (LedgerIsUp: a lock held for too long, a full lock table) fails alone.
//
// The lanes are in group_commit_lane.h, which is the header to include. Work, a value that each lane has a copy of,
// defines what is batched and how it is sent:
//
//   struct Item { absl::Time deadline; <callable with absl::StatusOr<Result>, exactly once> done; ... };  // movable
//   using Result;
//   static constexpr const char* kRequests;                        // what the items are, for the log
//   static constexpr int kQueues;                                  // each batch is of one queue; they take turns
//   static int QueueOf(const Item&);
//   static const Uuid& IdOf(const Item&);
//   static bool GoTogether(const Item& first, const Item& next);   // may be in one batch
//   static bool MustGoAgain(const Result&, Item*);                 // nothing was decided; may change the item
//   absl::StatusOr<std::vector<Result>> Send(absl::Span<const Item> batch);  // one result per item, in their order
//   bool LedgerAnswers();                                          // asks; called while it did not answer
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <iterator>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "glog/logging.h"
#include "storage/clock.h"
#include "storage/ledger/ledger_error.h"
#include "storage/ledger/reservation_ledger.h"
#include "storage/mutation.h"

namespace tranche::storage {

struct PipelineOptions {
  int lanes = 2;                                           // threads that commit side by side; 0: see GroupCommitLane
  int max_batch = 512;                                     // requests per transaction; at most kMaxBatch
  int max_queue = 16384;                                   // requests waiting; more are refused
  LockMode first_lock_mode = LockMode::kWait;              // of claims; kSkipLocked pays with several slots per slice
  absl::Duration retry_interval = absl::Milliseconds(50);  // between tries while the ledger does not answer
  int max_transaction_retries = 10;                        // after deadlocks
};

struct PipelineStats {
  int64_t queued = 0;
  int64_t unanswered = 0;  // queued and in flight
  uint64_t batches = 0;
  uint64_t requests = 0;
  bool ledger_answers = true;
};

template <typename Work>
class GroupCommitLane;

// Thread-safe. Destruction without Drain refuses waiting requests and finishes those in flight.
//
// Errors that `done` may get:
//   kResourceExhausted  the queue is full; nothing happened
//   kDeadlineExceeded   the deadline passed before the request was sent; nothing happened
//   kUnavailable        the ledger does not answer, or only this batch failed; nothing happened, unless IsUnknownCommit
//   kCancelled          the pipeline is shutting down; nothing happened
//   kInternal           the ledger refused the batch; nothing happened
template <typename Work>
class GroupCommit {
 public:
  using Item = typename Work::Item;

  GroupCommit(Work work, Clock* clock, PipelineOptions options);
  ~GroupCommit();
  GroupCommit(const GroupCommit&) = delete;
  GroupCommit& operator=(const GroupCommit&) = delete;

  // Calls `done` exactly once: inline when refused, else on a lane's thread. It must not block.
  void Submit(Item item);

  // Refuses new requests and waits until every accepted one is answered, or `timeout`. True if all were.
  bool Drain(absl::Duration timeout);

  // Refuses new and waiting requests, then ends the lanes. Requests in flight get the ledger's answer; a lost answer is
  // asked for at most once more. Does not wait for any of this. Repeating it is harmless.
  void Stop();

  PipelineStats Stats() const;

 private:
  friend class GroupCommitLane<Work>;
  using Batch = std::vector<Item>;

  void RunLane();
  void AwaitWork();
  void PauseBeforeRetry();
  size_t Queued() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  Batch TakeBatch();
  Batch TakeFrom(std::deque<Item>& queue, Batch* expired) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Requeue(Batch batch);
  Batch TakeAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LedgerAnswers();
  // `cause`: how it was noticed.
  void LedgerIsDown(const absl::Status& cause);
  // Answers all of them with the error. Nothing else refuses requests, so that each is counted once.
  void Refuse(Batch refused, const absl::Status& status);
  void Finished(int64_t requests);
  bool Stopping() const;

  const Work work_;
  Clock* const clock_;
  const PipelineOptions options_;

  mutable absl::Mutex mutex_;
  // The number of waiting requests is computed from the queues: lanes sleep on it, so a separate count must not differ.
  std::array<std::deque<Item>, Work::kQueues> queues_ ABSL_GUARDED_BY(mutex_);
  size_t next_queue_ ABSL_GUARDED_BY(mutex_) = 0;   // whose turn it is
  int64_t unanswered_ ABSL_GUARDED_BY(mutex_) = 0;  // accepted and not yet answered
  bool accepting_ ABSL_GUARDED_BY(mutex_) = true;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool ledger_answers_ ABSL_GUARDED_BY(mutex_) = true;
  uint64_t batches_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t requests_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::thread> lanes_;
};

template <typename Work>
GroupCommit<Work>::GroupCommit(Work work, Clock* clock, PipelineOptions options)
    : work_(std::move(work)), clock_(clock), options_(options) {
  CHECK(options_.lanes >= 0 && options_.max_queue >= 1);
  CHECK(options_.max_batch >= 1 && options_.max_batch <= kMaxBatch);
  for (int i = 0; i < options_.lanes; ++i) {
    lanes_.emplace_back([this] { RunLane(); });
  }
}

template <typename Work>
GroupCommit<Work>::~GroupCommit() {
  Stop();
  for (std::thread& lane : lanes_) lane.join();
}

template <typename Work>
void GroupCommit<Work>::Stop() {
  Batch refused;
  {
    absl::MutexLock lock(&mutex_);
    accepting_ = false;
    stopping_ = true;
    refused = TakeAll();
  }
  Refuse(std::move(refused), absl::CancelledError("shutting down"));
}

template <typename Work>
size_t GroupCommit<Work>::Queued() const {
  size_t queued = 0;
  for (const std::deque<Item>& queue : queues_) {
    queued += queue.size();
    if (Mutated(Mutation::kOtherQueuesNotSeen)) break;
  }
  return queued;
}

template <typename Work>
void GroupCommit<Work>::Submit(Item item) {
  absl::Status refusal;
  {
    absl::MutexLock lock(&mutex_);
    if (!accepting_) {
      refusal = absl::CancelledError("shutting down");
    } else if (!ledger_answers_) {
      refusal = absl::UnavailableError("the ledger does not answer");
    } else if (Queued() >= static_cast<size_t>(options_.max_queue)) {
      refusal = absl::ResourceExhaustedError("too many requests wait for the ledger");
    } else {
      queues_[static_cast<size_t>(Work::QueueOf(item))].push_back(std::move(item));
      ++unanswered_;
      return;
    }
  }
  std::move(item.done)(std::move(refusal));
}

template <typename Work>
void GroupCommit<Work>::AwaitWork() {
  absl::MutexLock lock(&mutex_);
  const auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || Queued() > 0; };
  mutex_.Await(absl::Condition(&has_work));
}

template <typename Work>
void GroupCommit<Work>::PauseBeforeRetry() {
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(&stopping_), options_.retry_interval);
}

// The next batch, from the queue whose turn it is. Empty: no request waits.
template <typename Work>
typename GroupCommit<Work>::Batch GroupCommit<Work>::TakeBatch() {
  Batch batch;
  Batch expired;
  {
    absl::MutexLock lock(&mutex_);
    for (size_t i = 0; i < queues_.size() && batch.empty(); ++i) {
      batch = TakeFrom(queues_[next_queue_], &expired);
      next_queue_ = (next_queue_ + 1) % queues_.size();
    }
    batches_ += batch.empty() ? 0 : 1;
    requests_ += batch.size();
  }
  Refuse(std::move(expired), absl::DeadlineExceededError("the deadline passed before the request was sent"));
  return batch;
}

// Takes requests that go together and have distinct ids, from the head on, and adds those that are too late to
// `expired`. A request whose id is already in the batch is a replay of that one: it keeps its place, and later requests
// are examined, so that many requests with one id do not lead to batches of one. Only up to a bound, since this runs
// under the lock.
template <typename Work>
typename GroupCommit<Work>::Batch GroupCommit<Work>::TakeFrom(std::deque<Item>& queue, Batch* expired) {
  const absl::Time now = clock_->Now();
  const size_t max_batch = static_cast<size_t>(options_.max_batch);
  absl::flat_hash_set<Uuid> ids;
  Batch batch;
  Batch passed;
  while (!queue.empty() && batch.size() < max_batch && passed.size() < max_batch) {
    Item& next = queue.front();
    if (next.deadline <= now) {
      expired->push_back(std::move(next));
    } else if (!batch.empty() && !Work::GoTogether(batch.front(), next)) {
      break;
    } else if (!ids.insert(Work::IdOf(next)).second) {
      passed.push_back(std::move(next));
    } else {
      batch.push_back(std::move(next));
    }
    queue.pop_front();
  }
  queue.insert(queue.begin(), std::make_move_iterator(passed.begin()), std::make_move_iterator(passed.end()));
  return batch;
}

template <typename Work>
void GroupCommit<Work>::Requeue(Batch batch) {
  {
    absl::MutexLock lock(&mutex_);
    if (!stopping_) {
      // At the head: they have waited longest. The bound holds, since they were counted when they were first accepted.
      std::deque<Item>& queue = queues_[static_cast<size_t>(Work::QueueOf(batch.front()))];
      queue.insert(queue.begin(), std::make_move_iterator(batch.begin()), std::make_move_iterator(batch.end()));
      return;
    }
  }
  Refuse(std::move(batch), absl::CancelledError("shutting down"));
}

template <typename Work>
void GroupCommit<Work>::Refuse(Batch refused, const absl::Status& status) {
  for (Item& item : refused) std::move(item.done)(status);
  Finished(static_cast<int64_t>(refused.size()));
}

template <typename Work>
typename GroupCommit<Work>::Batch GroupCommit<Work>::TakeAll() {
  Batch all;
  for (std::deque<Item>& queue : queues_) {
    all.insert(all.end(), std::make_move_iterator(queue.begin()), std::make_move_iterator(queue.end()));
    queue.clear();
  }
  return all;
}

template <typename Work>
void GroupCommit<Work>::LedgerAnswers() {
  {
    absl::MutexLock lock(&mutex_);
    if (ledger_answers_) return;
    ledger_answers_ = true;
  }
  LOG(WARNING) << "the ledger answers again: " << Work::kRequests << " are accepted";
}

template <typename Work>
void GroupCommit<Work>::LedgerIsDown(const absl::Status& cause) {
  Batch refused;
  {
    absl::MutexLock lock(&mutex_);
    if (!ledger_answers_) return;
    ledger_answers_ = false;
    refused = TakeAll();
  }
  LOG(WARNING) << "the ledger does not answer: " << Work::kRequests << " are refused until it does (" << cause.message()
               << ")";
  Refuse(std::move(refused), absl::UnavailableError("the ledger does not answer"));
}

template <typename Work>
bool GroupCommit<Work>::Stopping() const {
  absl::MutexLock lock(&mutex_);
  return stopping_;
}

template <typename Work>
void GroupCommit<Work>::Finished(int64_t requests) {
  if (requests == 0) return;
  absl::MutexLock lock(&mutex_);
  unanswered_ -= requests;
}

template <typename Work>
bool GroupCommit<Work>::Drain(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  accepting_ = false;
  const auto all_answered = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return unanswered_ == 0; };
  return mutex_.AwaitWithTimeout(absl::Condition(&all_answered), timeout);
}

template <typename Work>
PipelineStats GroupCommit<Work>::Stats() const {
  absl::MutexLock lock(&mutex_);
  return PipelineStats{static_cast<int64_t>(Queued()), unanswered_, batches_, requests_, ledger_answers_};
}

}  // namespace tranche::storage
