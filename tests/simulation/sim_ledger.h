// The ledger as one process sees it: every call waits on its way there and on its way back, and may fail, be late, be
// lost or be the last thing that the process does. The fake ledger executes it at one moment in between, and the
// checker looks at that moment.
//
// A late call either still succeeds, or has the result that the real client would see: a statement that takes too long
// in the ledger is cancelled there, and nothing happened; if the answer does not come in time and the connection is
// given up, the outcome is unknown.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "storage/ledger/forwarding_group_ledger.h"
#include "storage/ledger/forwarding_lifecycle_ledger.h"
#include "storage/ledger/forwarding_reservation_ledger.h"
#include "storage/ledger/forwarding_stock_ledger.h"
#include "storage/ledger/forwarding_upkeep_ledger.h"
#include "tests/simulation/process.h"
#include "tests/simulation/watched_ledger.h"

namespace tranche::simulation {

class SimLedger : public storage::ForwardingReservationLedger<SimLedger>,
                  public storage::ForwardingStockLedger<SimLedger>,
                  public storage::ForwardingLifecycleLedger<SimLedger>,
                  public storage::ForwardingUpkeepLedger<SimLedger>,
                  public storage::ForwardingGroupLedger<SimLedger> {
 public:
  explicit SimLedger(Process* process) : process_(process), ledger_(process) {}

  // For the bases: the way there, the call, and the way back.
  template <typename Ask>
  auto Around(const storage::LedgerCall& call, const Ask& ask) -> decltype(ask(std::declval<WatchedLedger&>())) {
    const Fate fate = ChooseFate(call.effect);
    if (absl::Status begun = Begin(fate); !begun.ok()) return begun;
    const int epoch = process_->world().ledger_epoch;
    if (fate == Fate::kHeldUp) {
      if (absl::Status held_up = BeHeldUp(call.effect, epoch); !held_up.ok()) return held_up;
    }
    auto result = ask(ledger_);
    if (absl::Status ended = End(call.effect, fate, epoch); !ended.ok()) return ended;
    return result;
  }

  absl::StatusOr<std::vector<storage::CommitResult>> CommitReservations(
      storage::IncarnationId incarnation, storage::LockMode mode,
      absl::Span<const storage::ReservationClaim> claims) override;
  absl::StatusOr<storage::CartResult> CommitCart(storage::IncarnationId incarnation, storage::LockMode mode,
                                                 absl::Span<const storage::ReservationClaim> lines) override;

 private:
  using Effect = storage::LedgerCall::Effect;
  enum class Fate { kAnswered, kFails, kAnswerLost, kCallLost, kDeadlock, kHeldUp, kAnswerLate };

  // Only changes of reservations meet deadlocks.
  Fate ChooseFate(Effect effect);
  absl::Duration ChooseLateness();
  // The wait before the call; an error if the call is not made.
  absl::Status Begin(Fate fate);
  // The wait in the ledger after a call has arrived; an error if the call is cancelled.
  absl::Status BeHeldUp(Effect effect, int epoch);
  // The wait after the call; an error if its answer does not come. `epoch`: of the ledger that was called.
  absl::Status End(Effect effect, Fate fate, int epoch);
  static absl::Status Lost(Effect effect, const char* why);
  // While a SKU is locked: a call that waits for its slots, a cart that does not, and a batch whose claims for it stay
  // undecided.
  absl::Status WaitInVain(storage::LockMode mode);
  void LockNowAndThen(const std::string& sku_id);
  absl::StatusOr<storage::CartResult> FindLocked(const std::string& locked,
                                                 absl::Span<const storage::ReservationClaim> lines);
  absl::StatusOr<std::vector<storage::CommitResult>> CommitUnlocked(const std::string& locked,
                                                                    storage::IncarnationId incarnation,
                                                                    storage::LockMode mode,
                                                                    absl::Span<const storage::ReservationClaim> claims);

  Process* const process_;
  WatchedLedger ledger_;
};

}  // namespace tranche::simulation
