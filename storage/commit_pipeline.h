// Group commit: turns single claims into batches for the ledger.
//
// A few lanes (storage/commit_lane.h), each run by a thread, share one bounded queue. A lane takes what is waiting, up
// to max_batch, and sends it at once: it never waits to fill a batch. While its batch is in flight, the next one forms.
//
//   Submit -> queue -> lane: one incarnation, distinct ids -> CommitReservations -> done(result) per claim
//
// A lost answer (unknown commit) is settled by sending the batch again under the same ids until the ledger answers or
// the claim's deadline passes. While the ledger does not answer, waiting and new claims are refused at once.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/clock.h"
#include "storage/ledger.h"

namespace tranche::storage {

struct PipelineOptions {
  int lanes = 2;                                           // threads that commit side by side; 0: see CommitLane
  int max_batch = 512;                                     // claims per transaction; at most kMaxBatch
  int max_queue = 16384;                                   // claims waiting; more are refused
  LockMode first_lock_mode = LockMode::kWait;              // kSkipLocked pays with several slots per slice
  absl::Duration retry_interval = absl::Milliseconds(50);  // between tries while the ledger does not answer
  int max_transaction_retries = 10;                        // after deadlocks
};

// The claim's fate. Errors:
//   kResourceExhausted  the queue is full; nothing happened
//   kDeadlineExceeded   the deadline passed before the claim was sent; nothing happened
//   kUnavailable        the ledger does not answer; nothing happened, unless IsUnknownCommit
//   kCancelled          the pipeline is shutting down; nothing happened
//   kInternal           the ledger refused the batch; nothing happened
using CommitDone = absl::AnyInvocable<void(absl::StatusOr<CommitResult>)>;

// A claim that was accepted and is not yet answered.
struct PendingCommit {
  IncarnationId incarnation = kPool;
  ReservationClaim claim;
  absl::Time deadline;
  CommitDone done;
  // The slots that were free had too few units: next time wait for the locked ones.
  bool must_wait = false;
};

struct PipelineStats {
  int64_t queued = 0;
  int64_t unanswered = 0;  // queued and in flight
  uint64_t batches = 0;
  uint64_t claims = 0;
  bool ledger_answers = true;
};

// Thread-safe. Destruction without Drain refuses what waits and finishes what is in flight.
class CommitPipeline {
 public:
  CommitPipeline(ReservationLedger* ledger, Clock* clock, PipelineOptions options);
  ~CommitPipeline();
  CommitPipeline(const CommitPipeline&) = delete;
  CommitPipeline& operator=(const CommitPipeline&) = delete;

  // Calls `done` exactly once: inline when refused, else on a lane's thread. It must not block.
  void Submit(IncarnationId incarnation, ReservationClaim claim, absl::Time deadline, CommitDone done);

  // Refuses new claims and waits until every accepted one is answered, or `timeout`. True if all were.
  bool Drain(absl::Duration timeout);

  PipelineStats Stats() const;

 private:
  friend class CommitLane;
  using Batch = std::vector<PendingCommit>;

  void RunLane();
  void AwaitWork();
  void PauseBeforeRetry();

  Batch TakeBatch();
  void Requeue(Batch batch);
  void SetLedgerAnswers(bool answers);
  void Finished(int64_t claims);
  bool Stopping() const;

  ReservationLedger* const ledger_;
  Clock* const clock_;
  const PipelineOptions options_;

  mutable absl::Mutex mutex_;
  std::deque<PendingCommit> queue_ ABSL_GUARDED_BY(mutex_);
  int64_t unanswered_ ABSL_GUARDED_BY(mutex_) = 0;  // accepted and not yet answered
  bool accepting_ ABSL_GUARDED_BY(mutex_) = true;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool ledger_answers_ ABSL_GUARDED_BY(mutex_) = true;
  uint64_t batches_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t claims_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::thread> lanes_;
};

}  // namespace tranche::storage
