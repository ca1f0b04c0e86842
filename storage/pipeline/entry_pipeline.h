// Group commit of entries into draws (storage/pipeline/group_commit.h): of any SKUs, each buyer of a SKU once per
// batch. They have a pipeline of their own, so that a draw that opens delays no claim and no payment.
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
#include "storage/ledger/draw_ledger.h"
#include "storage/pipeline/group_commit_lane.h"
#include "storage/pipeline/standing_queue.h"

namespace tranche::storage {

// What became of the entry. Errors: see GroupCommit.
using EntryDone = absl::AnyInvocable<void(absl::StatusOr<DrawEntryResult>)>;

// An entry that was accepted and is not yet answered.
struct PendingEntry {
  DrawEntryClaim claim;
  absl::Time deadline;
  EntryDone done;
  Uuid id = {};  // see EntryWork::IdOf
  // See GroupCommit.
  bool in_doubt = false;
  bool slow = false;
  absl::Time queued_at = absl::InfinitePast();
};

// How entries are batched and sent: see GroupCommit.
class EntryWork {
 public:
  using Item = PendingEntry;
  using Result = DrawEntryResult;
  static constexpr const char* kRequests = "entries into draws";
  static constexpr int kQueues = 1;

  explicit EntryWork(DrawLedger* ledger) : ledger_(ledger) {}

  static int QueueOf(const Item&) { return 0; }
  // The ledger gives an entry its id, so this one only keeps (SKU, buyer) distinct in a batch: a hash of both. Two that
  // have the same by chance go in two batches, and nothing else comes of it.
  static const Uuid& IdOf(const Item& item) { return item.id; }
  static Uuid IdOf(const DrawEntryClaim& claim);
  static const std::string& KeyOf(const Item& item) { return item.claim.sku_id; }
  static const TraceTag& TraceOf(const Item& item) { return item.claim.trace; }
  static bool GoTogether(const Item&, const Item&) { return true; }
  static GoAgain MustGoAgain(const Result& result, Item*) { return result.busy ? GoAgain::kOnceFree : GoAgain::kNo; }
  static constexpr bool kWaitsNextTime = false;
  static absl::Duration Patience(const Item&, absl::Duration left, QueueOutlook outlook) {
    return outlook.stands ? std::min(left / 2, StandingQueue::kTarget) : left / 2;
  }
  absl::StatusOr<std::vector<Result>> Send(absl::Span<const Item> batch, LockMode mode);
  bool LedgerAnswers();

 private:
  DrawLedger* ledger_;
  std::vector<DrawEntryClaim> claims_;  // kept for its memory
};

// Thread-safe. Destruction without Drain refuses waiting entries and finishes those in flight.
class EntryPipeline {
 public:
  EntryPipeline(DrawLedger* ledger, Clock* clock, PipelineOptions options)
      : group_(EntryWork(ledger), clock, options) {}

  // Calls `done` exactly once: inline when refused, else on a lane's thread. It must not block.
  void Submit(DrawEntryClaim claim, absl::Time deadline, EntryDone done);

  // Refuses new entries and waits until every accepted one is answered, or `timeout`. True if all were.
  bool Drain(absl::Duration timeout) { return group_.Drain(timeout); }
  // See GroupCommit.
  void Stop() { group_.Stop(); }

  PipelineStats Stats() const { return group_.Stats(); }
  const CommitMetrics& metrics() const { return group_.metrics(0); }

 private:
  friend class EntryLane;
  GroupCommit<EntryWork> group_;
};

// A lane for callers that run lanes themselves: see GroupCommitLane.
class EntryLane : public GroupCommitLane<EntryWork> {
 public:
  explicit EntryLane(EntryPipeline* pipeline) : GroupCommitLane(&pipeline->group_) {}
};

}  // namespace tranche::storage
