// Group commit: turns single requests into batches for the ledger.
//
// A few lanes, each run by a thread, share bounded queues. A lane takes what is waiting, up to max_batch, and sends it
// at once: it never waits to fill a batch. While its batch is in flight, the next one forms.
//
//   Submit -> queue -> lane: requests that go together, distinct ids -> Work::Send -> done(result) per request
//
// A lost answer (unknown commit) is settled by sending the batch again under the same ids until the ledger answers or
// the request's deadline passes. While the ledger does not answer, waiting and new requests are refused at once.
//
// A batch that fails while the ledger is up (LedgerIsUp) is sent again without waiting for locks. What turns out to be
// locked becomes slow (request_queues.h) and is tried again, apart from the others, until it succeeds or would be tried
// next after its deadline. If the batch needs more than the server has (NeedsLess), or still has to wait, it is halved.
// A request whose deadline is near shortens the first wait of its batch, so that this ends before the deadline, too. It
// still waits for a moment: in a healthy system every lock is free again by then.
//
// The lanes are in group_commit_lane.h, which is the header to include. Work, a value that each lane has a copy of,
// defines what is batched and how it is sent:
//
//   struct Item { absl::Time deadline; <callable with absl::StatusOr<Result>, exactly once> done;         // movable
//                 bool in_doubt = false;   // an earlier try may have been committed
//                 bool slow = false;       // see RequestQueues
//                 absl::Time queued_at = absl::InfinitePast();   // see CommitMetrics
//                 ... };
//   using Result;
//   static constexpr const char* kRequests;                        // what the items are, for the log
//   static constexpr int kQueues;                                  // each batch is of one queue; they take turns
//   static int QueueOf(const Item&);
//   static const Uuid& IdOf(const Item&);
//   static const TraceTag& TraceOf(const Item&);                   // of the call that it is from; null for none
//   static <hashable> KeyOf(const Item&);                          // what is likely to be locked for all who have it
//   static bool GoTogether(const Item& first, const Item& next);   // may be in one batch
//   static GoAgain MustGoAgain(const Result&, Item*);              // nothing was decided; or in doubt, as it notes in
//                                                                  // the item, which it may change
//   static constexpr bool kWaitsNextTime;                          // what is locked did not wait, and will now: it is
//                                                                  // not slow yet
//   static absl::Duration Patience(const Item&, absl::Duration left, QueueOutlook);  // of the time until its deadline,
//                                                                                    // so much may pass in its queue
//   absl::StatusOr<std::vector<Result>> Send(absl::Span<const Item> batch, LockMode mode);  // one result per item, in
//                                                                                           // their order
//   bool LedgerAnswers();                                          // asks; called while it did not answer
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "glog/logging.h"
#include "storage/clock.h"
#include "storage/ledger/ledger_error.h"
#include "storage/ledger/reservation_ledger.h"
#include "storage/pipeline/commit_metrics.h"
#include "storage/pipeline/request_queues.h"
#include "storage/pipeline/standing_queue.h"

namespace tranche::storage {

// What becomes of a request that was in a batch.
enum class GoAgain {
  kNo,        // it is answered
  kAtOnce,    // it goes with the next batch. If another of its batch is locked, it waits with that: it may depend on it
  kOnceFree,  // what it needs is locked
};

struct PipelineOptions {
  int lanes = 2;                                           // threads that commit side by side; 0: see GroupCommitLane
  int max_batch = 512;                                     // requests per transaction; at most kMaxBatch
  int max_queue = 16384;                                   // requests waiting in each queue; more are refused
  LockMode first_lock_mode = LockMode::kWait;              // of claims; kSkipLocked pays with several slots per slice
  absl::Duration retry_interval = absl::Milliseconds(50);  // while the ledger does not answer; between slow tries
  // With LockMode::kWait, the ledger gives up a lock after this long. Locks of this system are held for milliseconds.
  // If a disk that stalls makes it longer for all, nothing worse comes of it than more tries.
  absl::Duration lock_wait = absl::Milliseconds(500);
  int max_transaction_retries = 10;  // after deadlocks
};

struct PipelineStats {
  int64_t queued = 0;      // slow ones included
  int64_t slow = 0;        // of these; see RequestQueues
  int64_t unanswered = 0;  // queued and in flight
  bool stands = false;     // a queue of it does; see StandingQueue
  uint64_t batches = 0;
  uint64_t requests = 0;
  bool ledger_answers = true;
  // How long somebody has waited for their first batch, of late: the first one of the last batch, or who waits still.
  absl::Duration waited = absl::ZeroDuration();
};

template <typename Work>
class GroupCommitLane;

// Thread-safe. Destruction without Drain refuses waiting requests and finishes those in flight.
//
// Errors that `done` may get:
//   kResourceExhausted  the queue is full, or so long that the request would wait too long in it; nothing happened
//   kDeadlineExceeded   the deadline passed before the request was decided; nothing happened
//   kUnavailable        the ledger does not answer, or what is needed was locked at the last try that the deadline
//                       left time for; nothing happened, unless IsUnknownCommit
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
  // How many requests wait in each queue, without the slow ones.
  std::array<int64_t, Work::kQueues> Waiting() const;
  const CommitMetrics& metrics(size_t queue) const { return metrics_.at(queue); }

 private:
  friend class GroupCommitLane<Work>;
  using Batch = std::vector<Item>;

  static constexpr absl::Duration kTellDownEvery = absl::Seconds(10);

  void RunLane();
  void AwaitWork();
  void PauseBeforeRetry();

  // At most `max_batch` requests, and late ones, which the caller refuses. `was_slow`: the caller's last batch.
  typename RequestQueues<Work>::Taken TakeBatch(size_t max_batch, bool was_slow);
  // Nothing was decided about them. `locked`: by another transaction. Then those that cannot be tried again before
  // their deadlines are refused, while their callers still listen.
  void Requeue(Batch batch, bool locked);
  CommitMetrics& MetricsOf(const Item& item) { return metrics_.at(static_cast<size_t>(Work::QueueOf(item))); }
  // So many requests are ahead of it that it would wait for longer than its patience, as recent tries tell. Who is
  // answered at the deadline has gone, and their unit is held for nobody: without this, a queue that is long for a
  // while sells to nobody in time. Counts full batches only: what is less goes with the next one, however long that
  // takes. Rather too few are refused: other kinds take turns. A ledger whose tries take longer than the deadline is
  // asked by those who find nobody waiting, so that it is noticed when it is fast again.
  bool WaitsTooLong(const Item& item, size_t ahead) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of a batch that has just been taken.
  void NoteWait(const typename RequestQueues<Work>::Taken& taken, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Duration Waited(absl::Time now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LedgerAnswers();
  bool Answers() const;
  // `cause`: how it was noticed.
  void LedgerIsDown(const absl::Status& cause);
  // Answers all of them: those in doubt with that, the others with the error.
  void Refuse(Batch refused, const absl::Status& status);
  // The same, because their deadlines have passed, or those of slow ones will before the next try.
  void RefuseLate(Batch late);
  // They have been answered, by whomever: each is counted once.
  void Finished(const Batch& answered);
  bool Stopping() const;
  static absl::Status Locked() { return BusyError("another transaction has locked what the request needs"); }

  const Work work_;
  Clock* const clock_;
  const PipelineOptions options_;
  std::array<CommitMetrics, Work::kQueues> metrics_;

  mutable absl::Mutex mutex_;
  RequestQueues<Work> queues_ ABSL_GUARDED_BY(mutex_);
  std::array<StandingQueue, Work::kQueues> standing_ ABSL_GUARDED_BY(mutex_);
  int64_t unanswered_ ABSL_GUARDED_BY(mutex_) = 0;  // accepted and not yet answered
  bool accepting_ ABSL_GUARDED_BY(mutex_) = true;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool ledger_answers_ ABSL_GUARDED_BY(mutex_) = true;
  bool told_down_ ABSL_GUARDED_BY(mutex_) = false;  // that it does not
  absl::Time told_down_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
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
    refused = queues_.TakeAll();
  }
  Refuse(std::move(refused), absl::CancelledError("shutting down"));
}

template <typename Work>
void GroupCommit<Work>::Submit(Item item) {
  item.queued_at = clock_->Now();
  absl::Status refusal;
  {
    absl::MutexLock lock(&mutex_);
    if (!accepting_) {
      refusal = absl::CancelledError("shutting down");
    } else if (!ledger_answers_) {
      refusal = absl::UnavailableError("the ledger does not answer");
    } else if (queues_.ComesTooLate(item)) {
      refusal = Locked();
    } else if (const size_t ahead = queues_.AheadOf(item);
               ahead >= static_cast<size_t>(options_.max_queue) || WaitsTooLong(item, ahead)) {
      refusal = absl::ResourceExhaustedError("too many requests wait for the ledger");
    } else {
      queues_.Push(std::move(item));
      ++unanswered_;
      return;
    }
  }
  std::move(item.done)(std::move(refusal));
}

template <typename Work>
bool GroupCommit<Work>::WaitsTooLong(const Item& item, size_t ahead) {
  if (ahead == 0) return false;
  const absl::Duration left = item.deadline - item.queued_at;
  const absl::Duration one_try = MetricsOf(item).recent_try(item.queued_at);
  const int64_t full_batches = static_cast<int64_t>(ahead) / options_.max_batch;
  const QueueOutlook outlook = {standing_[static_cast<size_t>(Work::QueueOf(item))].stands(item.queued_at),
                                one_try / std::max(options_.lanes, 1)};
  return one_try > left || outlook.per_batch * full_batches > Work::Patience(item, left, outlook);
}

// What is sent again has waited before, and the slow wait for something else.
template <typename Work>
void GroupCommit<Work>::NoteWait(const typename RequestQueues<Work>::Taken& taken, absl::Time now) {
  if (taken.slow || taken.batch.empty()) return;
  const Item& head = taken.batch.front();
  if (head.queued_at == absl::InfinitePast()) return;
  const auto queue = static_cast<size_t>(Work::QueueOf(head));
  standing_[queue].NoteTaken(now - head.queued_at, queues_.ready(queue) == 0, now);
}

// Slow requests wake nobody: their turn comes with time.
template <typename Work>
void GroupCommit<Work>::AwaitWork() {
  absl::MutexLock lock(&mutex_);
  const auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || queues_.ready() > 0; };
  mutex_.AwaitWithTimeout(absl::Condition(&has_work),
                          queues_.slow() > 0 ? options_.retry_interval : absl::InfiniteDuration());
}

template <typename Work>
void GroupCommit<Work>::PauseBeforeRetry() {
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(&stopping_), options_.retry_interval);
}

template <typename Work>
typename RequestQueues<Work>::Taken GroupCommit<Work>::TakeBatch(size_t max_batch, bool was_slow) {
  typename RequestQueues<Work>::Taken taken;
  absl::Time now;
  {
    absl::MutexLock lock(&mutex_);
    now = clock_->Now();  // in the order in which lanes take
    if (was_slow) queues_.SlowTried();
    taken = queues_.Take(now, max_batch);
    NoteWait(taken, now);
    batches_ += taken.batch.empty() ? 0 : 1;
    requests_ += taken.batch.size();
  }
  for (Item& item : taken.batch) MetricsOf(item).NoteTaken(now, &item.queued_at);
  return taken;
}

// The queues' bounds hold, since these were counted when they were first accepted.
template <typename Work>
void GroupCommit<Work>::Requeue(Batch batch, bool locked) {
  Batch late;
  {
    absl::MutexLock lock(&mutex_);
    if (!stopping_ && !locked) return queues_.PushFront(std::move(batch));
    if (!stopping_) late = queues_.PushLocked(std::exchange(batch, {}), clock_->Now() + options_.retry_interval);
  }
  RefuseLate(std::move(late));
  Refuse(std::move(batch), absl::CancelledError("shutting down"));
}

template <typename Work>
void GroupCommit<Work>::Refuse(Batch refused, const absl::Status& status) {
  for (Item& item : refused) {
    std::move(item.done)(item.in_doubt ? UnknownCommitError("the ledger's answer was lost") : status);
  }
  Finished(refused);
}

template <typename Work>
void GroupCommit<Work>::RefuseLate(Batch late) {
  const auto locked = std::stable_partition(late.begin(), late.end(), [](const Item& item) { return !item.slow; });
  Batch slow(std::make_move_iterator(locked), std::make_move_iterator(late.end()));
  late.erase(locked, late.end());
  Refuse(std::move(late), absl::DeadlineExceededError("the deadline passed before the request was decided"));
  Refuse(std::move(slow), Locked());
}

template <typename Work>
void GroupCommit<Work>::LedgerAnswers() {
  {
    absl::MutexLock lock(&mutex_);
    if (ledger_answers_) return;
    ledger_answers_ = true;
    if (!std::exchange(told_down_, false)) return;
  }
  LOG(WARNING) << "the ledger answers again: " << Work::kRequests << " are accepted";
}

template <typename Work>
void GroupCommit<Work>::LedgerIsDown(const absl::Status& cause) {
  Batch refused;
  bool tell = false;
  {
    absl::MutexLock lock(&mutex_);
    if (!ledger_answers_) return;
    ledger_answers_ = false;
    refused = queues_.TakeAll();
    // One that answers look-ups and refuses changes (a lost right) seems to come back at every look.
    const absl::Time now = clock_->Now();
    tell = now >= told_down_at_ + kTellDownEvery || now < told_down_at_;
    if (tell) told_down_at_ = now;
    told_down_ = tell;
  }
  LOG_IF(WARNING, tell) << "the ledger does not answer: " << Work::kRequests << " are refused until it does ("
                        << cause.message() << ")";
  Refuse(std::move(refused), absl::UnavailableError("the ledger does not answer"));
}

template <typename Work>
bool GroupCommit<Work>::Answers() const {
  absl::MutexLock lock(&mutex_);
  return ledger_answers_;
}

template <typename Work>
bool GroupCommit<Work>::Stopping() const {
  absl::MutexLock lock(&mutex_);
  return stopping_;
}

template <typename Work>
void GroupCommit<Work>::Finished(const Batch& answered) {
  if (answered.empty()) return;
  absl::MutexLock lock(&mutex_);
  unanswered_ -= static_cast<int64_t>(answered.size());
  for (const Item& item : answered) queues_.Answered(item);
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
  const auto slow = static_cast<int64_t>(queues_.slow());
  const absl::Time now = clock_->Now();
  const bool stands =
      std::any_of(standing_.begin(), standing_.end(), [now](const auto& queue) { return queue.stands(now); });
  return PipelineStats{static_cast<int64_t>(queues_.ready()) + slow,
                       slow,
                       unanswered_,
                       stands,
                       batches_,
                       requests_,
                       ledger_answers_,
                       Waited(now)};
}

// Batches that take long are taken seldom: then the queue's head tells.
template <typename Work>
absl::Duration GroupCommit<Work>::Waited(absl::Time now) const {
  absl::Duration waited = absl::ZeroDuration();
  for (size_t queue = 0; queue < standing_.size(); ++queue) {
    waited = std::max(waited, standing_[queue].last_wait(now));
    const Item* const head = queues_.Head(queue);
    if (head != nullptr && head->queued_at != absl::InfinitePast()) waited = std::max(waited, now - head->queued_at);
  }
  return waited;
}

template <typename Work>
std::array<int64_t, Work::kQueues> GroupCommit<Work>::Waiting() const {
  absl::MutexLock lock(&mutex_);
  std::array<int64_t, Work::kQueues> waiting{};
  for (size_t queue = 0; queue < waiting.size(); ++queue) waiting[queue] = static_cast<int64_t>(queues_.ready(queue));
  return waiting;
}

}  // namespace tranche::storage
