// Sells: takes units from the node's slice, commits the claim through the pipeline, and settles the slice with what the
// ledger decided. All of a front node's logic between "a well-formed request" and "an answer", without gRPC.
#pragma once

#include <atomic>
#include <memory>
#include <variant>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "quota/sku_directory.h"
#include "quota/slice_table.h"
#include "storage/clock.h"
#include "storage/commit_pipeline.h"
#include "storage/executor.h"
#include "storage/ledger.h"

namespace tranche::quota {

// Why nothing was sold. The server maps each to one machine-readable reason.
enum class Refusal {
  kSkuNotFound,
  kNotOpen,
  kClosed,
  kQuantityAboveUserLimit,
  kUserLimitReached,
  kReservationIdReused,
  kSoldOut,
  kExhaustedHere,
  kOverloaded,
  kLedgerUnavailable,
  kCommitUnknown,
  kDraining,
  kDeadlinePassed,
  kInternal,
};

struct Sold {
  storage::Reservation reservation;
  bool replayed = false;
};

struct Refused {
  Refusal refusal = Refusal::kInternal;
  bool holds_may_lapse = false;                // kSoldOut
  absl::Time opens_at = absl::InfinitePast();  // kNotOpen
  int32_t per_user_limit = 0;                  // kQuantityAboveUserLimit, kUserLimitReached
};

using SaleResult = std::variant<Sold, Refused>;
// Called exactly once: inline for what the node decides itself, else on a thread of the pipeline or the directory. It
// must not block.
using SaleDone = absl::AnyInvocable<void(SaleResult)>;

// Thread-safe. Outlived by its dependencies.
class Seller {
 public:
  Seller(SliceTable* slices, SkuDirectory* directory, storage::CommitPipeline* pipeline,
         storage::ReservationLedger* ledger, storage::Executor* executor, storage::Clock* clock)
      : slices_(slices),
        directory_(directory),
        pipeline_(pipeline),
        ledger_(ledger),
        executor_(executor),
        clock_(clock) {}

  // `deadline` bounds how long the claim may wait before it is sent to the ledger, and how long a lost answer of the
  // ledger is looked for. `may_exist` says that an earlier try with this id may have been committed: what would be
  // refused from memory is then looked up in the ledger first, so that nobody is told "sold out" who has a reservation.
  void Sell(storage::ReservationClaim claim, absl::Time deadline, bool may_exist, SaleDone done);

  // From now on every Sell is refused with kDraining. What was accepted goes on.
  void StopAccepting() { accepting_.store(false, std::memory_order_relaxed); }

 private:
  void SellWithoutSlice(storage::ReservationClaim claim, bool may_exist, SaleDone done);
  void AnswerFromLedger(storage::ReservationClaim claim, Refused otherwise, SaleDone done);
  void Commit(std::shared_ptr<Slice> slice, int64_t granted_version, storage::ReservationClaim claim,
              absl::Time deadline, SaleDone done);

  SliceTable* const slices_;
  SkuDirectory* const directory_;
  storage::CommitPipeline* const pipeline_;
  storage::ReservationLedger* const ledger_;
  storage::Executor* const executor_;
  storage::Clock* const clock_;
  std::atomic<bool> accepting_{true};
};

}  // namespace tranche::quota
