// Moves units for a round's steps, and counts what the round has changed. With many nodes a SKU has many slices to read
// and change, so a round is bounded by slices, not by SKUs.
#pragma once

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "quota/balancer/round/known_nodes.h"
#include "quota/balancer/round/repair_schedule.h"
#include "quota/coordination/announcer.h"
#include "quota/coordination/quota_mover.h"
#include "storage/ledger/stock_ledger.h"

namespace tranche::quota {

// Used by one thread.
class RoundMover {
 public:
  // Plans the move of one SKU; no deltas: nothing to move.
  using Plan = absl::FunctionRef<std::vector<storage::QuotaDelta>(const storage::SkuQuota&)>;

  // Dependencies outlive it.
  RoundMover(storage::StockLedger* ledger, Announcer* announcer, const KnownNodes* nodes, RepairSchedule* repair)
      : ledger_(ledger), nodes_(*nodes), repair_(*repair), mover_(ledger, announcer) {}

  void BeginRound() { slices_changed_ = 0; }
  // Counts slices that were changed in another way.
  void CountChanged(size_t slices) { slices_changed_ += slices; }
  // Has the round changed as many slices as it may?
  bool Exhausted() const;

  // How many SKUs a round may read, or change: at least one.
  size_t SkusToRead() const;
  size_t SkusToChange() const;

  // Reads the SKUs, plans each, and moves. A quota that changed between reading and moving is left for the next look.
  absl::Status MoveUnitsOf(absl::Span<const std::string> sku_ids, Plan plan);

 private:
  size_t SkusPerRound(size_t slices) const;
  absl::Status Move(absl::Span<const storage::QuotaMove> moves);

  storage::StockLedger* const ledger_;
  const KnownNodes& nodes_;
  RepairSchedule& repair_;
  QuotaMover mover_;
  size_t slices_changed_ = 0;
};

}  // namespace tranche::quota
