// Moves units for a round's steps, and counts what the round has changed. With many nodes a SKU has many slices to read
// and change, so a round is bounded by slices, not by SKUs.
//
// SKUs are moved in batches. If another transaction has locked one of them, the ledger refuses the whole batch after a
// moment, and each SKU is moved by itself. One that is locked is put aside: it is tried by itself now and then, and
// holds up no other.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "quota/balancer/balancer_counts.h"
#include "quota/balancer/round/known_nodes.h"
#include "quota/balancer/round/repair_schedule.h"
#include "quota/coordination/announcer.h"
#include "quota/coordination/quota_mover.h"
#include "storage/clock.h"
#include "storage/ledger/stock_ledger.h"

namespace tranche::quota {

// Used by one thread.
class RoundMover {
 public:
  // Plans the move of one SKU; no deltas: nothing to move.
  using Plan = absl::FunctionRef<std::vector<storage::QuotaDelta>(const storage::SkuQuota&)>;

  // Dependencies outlive it.
  RoundMover(storage::StockLedger* ledger, Announcer* announcer, storage::Clock* clock, const KnownNodes* nodes,
             RepairSchedule* repair, SkuObserver* observer, BalancerCounts* counts)
      : ledger_(ledger),
        clock_(*clock),
        nodes_(*nodes),
        repair_(*repair),
        observer_(*observer),
        counts_(*counts),
        mover_(ledger, announcer, clock) {}

  void BeginRound();
  // While the cluster is frozen, only what dead nodes hold is moved. Each step decides by it what is left to do.
  void SetFrozen(bool frozen) { frozen_ = frozen; }
  bool frozen() const { return frozen_; }
  // Counts slices that were changed in another way.
  void CountChanged(size_t slices) { slices_changed_ += slices; }
  // SKUs that were found locked, and have not been moved since.
  size_t PutAside() const { return aside_.size(); }
  // Has the round changed as many slices as it may?
  bool Exhausted() const;

  // How many SKUs a round may read, or change: at least one.
  size_t SkusToRead() const;
  size_t SkusToChange() const;

  // Reads the SKUs, plans each, and moves. A quota that changed between reading and moving is left for the next look,
  // and so is a SKU that is locked; of those, `left` gets the ids, if it is given. A SKU of which it is open whether
  // our copy counts is not planned.
  absl::Status MoveUnitsOf(absl::Span<const std::string> sku_ids, MoveReason reason, Plan plan,
                           std::vector<std::string>* left = nullptr);
  // Moves all that the incarnation holds into the pools, except of frozen SKUs.
  absl::Status TakeBack(storage::IncarnationId incarnation, MoveReason reason, std::vector<std::string>* left);
  // A frozen SKU of which the incarnation holds units; "": there is none.
  absl::StatusOr<std::string> FindFrozen(storage::IncarnationId incarnation);

 private:
  using Moves = std::vector<storage::QuotaMove>;
  size_t SkusPerRound(size_t slices) const;
  // The SKUs of which the incarnation holds units.
  absl::StatusOr<std::vector<std::string>> SkusOf(storage::IncarnationId incarnation);
  // Takes one batch at most.
  absl::Status MoveOrPutAside(Moves moves, MoveReason reason, std::vector<std::string>& left);
  absl::Status MoveByItself(const storage::QuotaMove& move, MoveReason reason, std::vector<std::string>& left);
  absl::Status Move(absl::Span<const storage::QuotaMove> moves, MoveReason reason);
  void Count(absl::Span<const storage::QuotaMove> moves, const QuotaMover::Moved& moved, MoveReason reason);

  storage::StockLedger* const ledger_;
  storage::Clock& clock_;
  const KnownNodes& nodes_;
  RepairSchedule& repair_;
  SkuObserver& observer_;  // hears of what is read
  BalancerCounts& counts_;
  QuotaMover mover_;
  bool frozen_ = true;  // until the ledger has said
  size_t slices_changed_ = 0;
  int waited_in_vain_ = 0;                   // in this round
  std::map<std::string, absl::Time> aside_;  // SKUs that were found locked; until when they are not tried
};

}  // namespace tranche::quota
