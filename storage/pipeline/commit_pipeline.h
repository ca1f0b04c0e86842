// Group commit of claims (storage/pipeline/group_commit.h): one incarnation and distinct ids per batch, and either all
// of them join groups, or none.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/base/log_trace.h"
#include "storage/clock.h"
#include "storage/ledger/incarnation_id.h"
#include "storage/ledger/reservation_ledger.h"
#include "storage/pipeline/group_commit_lane.h"
#include "storage/pipeline/standing_queue.h"

namespace tranche::storage {

// The result of the claim. Errors: see GroupCommit.
using CommitDone = absl::AnyInvocable<void(absl::StatusOr<CommitResult>)>;

// A claim that was accepted and is not yet answered.
struct PendingCommit {
  IncarnationId incarnation = kPool;
  ReservationClaim claim;
  absl::Time deadline;
  CommitDone done;
  // The slots that were free had too few units: next time wait for the locked ones.
  bool must_wait = false;
  // See GroupCommit.
  bool in_doubt = false;
  bool slow = false;
  absl::Time queued_at = absl::InfinitePast();
};

// How claims are batched and sent: see GroupCommit.
class ClaimWork {
 public:
  using Item = PendingCommit;
  using Result = CommitResult;
  static constexpr const char* kRequests = "reservations";
  static constexpr int kQueues = 1;

  ClaimWork(ReservationLedger* ledger, LockMode first_lock_mode) : ledger_(ledger), first_lock_mode_(first_lock_mode) {}

  static int QueueOf(const Item&) { return 0; }
  static const Uuid& IdOf(const Item& item) { return item.claim.reservation_id; }
  static const std::string& KeyOf(const Item& item) { return item.claim.sku_id; }
  static const TraceTag& TraceOf(const Item& item) { return item.claim.trace; }
  // A batch that joins groups is repeated as a whole when a group changes meanwhile. No other claim is to wait for it.
  static bool GoTogether(const Item& first, const Item& next) {
    const bool alike = (first.claim.group == nullptr) == (next.claim.group == nullptr);
    return alike && first.incarnation == next.incarnation;
  }
  static GoAgain MustGoAgain(const Result& result, Item* item);
  static constexpr bool kWaitsNextTime = true;
  // The first to give way, so that the others still find room, also where a batch takes long: who has no token.
  static absl::Duration Patience(const Item& item, absl::Duration left, QueueOutlook outlook) {
    const bool has_token = item.claim.has_token;
    const absl::Duration patience = has_token ? left * 3 / 4 : left / 2;
    if (!outlook.stands) return patience;
    const absl::Duration short_one =
        has_token ? 2 * std::max(StandingQueue::kTarget, outlook.per_batch) : StandingQueue::kTarget;
    return std::min(patience, short_one);
  }
  absl::StatusOr<std::vector<Result>> Send(absl::Span<const Item> batch, LockMode mode);
  bool LedgerAnswers();

 private:
  ReservationLedger* ledger_;
  LockMode first_lock_mode_;
  std::vector<ReservationClaim> claims_;  // kept for its memory
};

// Thread-safe. Destruction without Drain refuses waiting claims and finishes those in flight.
class CommitPipeline {
 public:
  CommitPipeline(ReservationLedger* ledger, Clock* clock, PipelineOptions options)
      : group_(ClaimWork(ledger, options.first_lock_mode), clock, options) {}

  // Calls `done` exactly once: inline when refused, else on a lane's thread. It must not block.
  void Submit(IncarnationId incarnation, ReservationClaim claim, absl::Time deadline, CommitDone done);

  // Refuses new claims and waits until every accepted one is answered, or `timeout`. True if all were.
  bool Drain(absl::Duration timeout) { return group_.Drain(timeout); }
  // See GroupCommit.
  void Stop() { group_.Stop(); }

  PipelineStats Stats() const { return group_.Stats(); }
  const CommitMetrics& metrics() const { return group_.metrics(0); }

 private:
  friend class CommitLane;
  GroupCommit<ClaimWork> group_;
};

}  // namespace tranche::storage
