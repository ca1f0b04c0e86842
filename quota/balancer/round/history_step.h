// Notices when the ledger was replaced by an older state of itself, and lets the sale begin anew from what it says.
//
// Nodes have then counted sales that are lost, and versions do not show it: sales change none. So all incarnations are
// ended, which makes their nodes forget everything, and what was announced to them is removed. Units go to the pools
// and are distributed again, which takes about a second. Announcements of SKUs that are ahead of the ledger are
// overruled by the repair, which begins at once.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "quota/balancer/round/round_context.h"
#include "quota/coordination/coordination.h"
#include "storage/ledger/history_ledger.h"

namespace tranche::quota {

class HistoryStep {
 public:
  explicit HistoryStep(const RoundContext* context) : context_(*context) {}

  // Compares the ledger's mark with the one in the tree at every refresh interval. A new history that takes more than
  // one round is gone on with in the next. An error of IsAnotherLedgersTree if the two are of different ledgers: then
  // nothing that the tree says is about ours, and we must not lead.
  absl::Status Run(Coordination& session);
  // Is a new history being begun? Until it is, the other steps would work on what is about to be forgotten.
  bool beginning() const { return first_.has_value(); }

  void Forget();

 private:
  absl::Status Look(Coordination& session);
  absl::Status BreakOff(Coordination& session, const storage::LedgerMark& mark);
  absl::Status GoOn(Coordination& session);
  absl::StatusOr<bool> WasReplaced();
  absl::Status EndIncarnations(Coordination& session, bool* done);
  absl::Status Note(Coordination& session, const storage::LedgerMark& mark);
  absl::Status Write(Coordination& session, const absl::StatusOr<Znode>& present, const storage::LedgerMark& mark);

  const RoundContext& context_;
  absl::Time looked_at_ = absl::InfinitePast();
  // As we last wrote it: in case it is deleted from the tree.
  std::optional<storage::LedgerMark> written_;
  // While a new history is being begun: the first incarnation that belongs to it.
  std::optional<storage::IncarnationId> first_;
  std::string line_;                         // of the ledger that was told to begin it
  std::optional<storage::LedgerMark> seen_;  // where it stood in our last round
  // The highest incarnation that we have heard of.
  storage::IncarnationId highest_ = storage::kPool;
};

}  // namespace tranche::quota
