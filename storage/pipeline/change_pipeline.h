// Group commit of changes to reservations (storage/pipeline/group_commit.h): confirmations, cancellations and
// extensions, each kind in batches of its own with distinct ids. The kinds take turns, so that none waits until another
// kind's queue is empty.
//
// Changes of one reservation that are under way at the same time are decided in no particular order: the ledger's state
// machine says which came first.
#pragma once

#include <array>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/clock.h"
#include "storage/ledger/lifecycle_ledger.h"
#include "storage/pipeline/group_commit_lane.h"

namespace tranche::storage {

// The result of the change. Errors: see GroupCommit.
using ChangeDone = absl::AnyInvocable<void(absl::StatusOr<ChangeResult>)>;

// A change that was accepted and is not yet answered.
struct PendingChange {
  Change change;
  absl::Time deadline;
  ChangeDone done;
  // See GroupCommit.
  bool in_doubt = false;
  bool slow = false;
  absl::Time queued_at = absl::InfinitePast();
};

// How changes are batched and sent: see GroupCommit.
class ChangeWork {
 public:
  using Item = PendingChange;
  using Result = ChangeResult;
  static constexpr const char* kRequests = "changes of reservations";
  static constexpr int kQueues = 3;
  // Of the queues.
  static constexpr std::array<const char*, kQueues> kKinds = {"confirm", "cancel", "extend"};

  explicit ChangeWork(LifecycleLedger* ledger) : ledger_(ledger) {}

  static int QueueOf(const Item& item) { return static_cast<int>(item.change.index()); }
  static const Uuid& IdOf(const Item& item);
  // A change does not say which SKU it is about. So while one finds something locked, no change of its kind waits for
  // locks.
  static int KeyOf(const Item& item) { return QueueOf(item); }
  static const TraceTag& TraceOf(const Item& item) { return storage::TraceOf(item.change); }
  static bool GoTogether(const Item& first, const Item& next) { return QueueOf(first) == QueueOf(next); }
  static GoAgain MustGoAgain(const Result& result, Item* item);
  static constexpr bool kWaitsNextTime = false;
  // Payments before all: they are refused only if they would come too late.
  static absl::Duration Patience(const Item&, absl::Duration left, QueueOutlook) { return left; }
  absl::StatusOr<std::vector<Result>> Send(absl::Span<const Item> batch, LockMode mode);
  bool LedgerAnswers();

 private:
  LifecycleLedger* ledger_;
};

// Thread-safe. Destruction without Drain refuses waiting changes and finishes those in flight.
class ChangePipeline {
 public:
  ChangePipeline(LifecycleLedger* ledger, Clock* clock, PipelineOptions options)
      : group_(ChangeWork(ledger), clock, options) {}

  // Calls `done` exactly once: inline when refused, else on a lane's thread. It must not block.
  void Submit(Change change, absl::Time deadline, ChangeDone done);

  // Refuses new changes and waits until every accepted one is answered, or `timeout`. True if all were.
  bool Drain(absl::Duration timeout) { return group_.Drain(timeout); }
  // See GroupCommit.
  void Stop() { group_.Stop(); }

  PipelineStats Stats() const { return group_.Stats(); }
  // By kind, in the order of ChangeWork::kKinds.
  std::array<int64_t, ChangeWork::kQueues> Waiting() const { return group_.Waiting(); }
  const CommitMetrics& metrics(size_t kind) const { return group_.metrics(kind); }

 private:
  friend class ChangeLane;
  GroupCommit<ChangeWork> group_;
};

// A lane for callers that run lanes themselves: see GroupCommitLane.
class ChangeLane : public GroupCommitLane<ChangeWork> {
 public:
  explicit ChangeLane(ChangePipeline* pipeline) : GroupCommitLane(&pipeline->group_) {}
};

}  // namespace tranche::storage
