// ConfirmReservation, CancelReservation and ExtendReservation, without gRPC: checks a request against the API's limits,
// passes it on and translates the outcome into the API's messages.
#pragma once

#include <atomic>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "quota/slices/slice_table.h"
#include "server/handlers/outcome_counts.h"
#include "storage/books.h"
#include "storage/clock.h"
#include "storage/ledger/lifecycle_ledger.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::server {

// Thread-safe. Outlived by its dependencies.
class ChangeHandler {
 public:
  // Called exactly once, inline or on another thread; must not block.
  template <typename Response>
  using Done = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

  // `slices` tell which shard a SKU is believed to be on.
  ChangeHandler(storage::Books* books, const quota::SliceTable* slices, storage::Clock* clock)
      : books_(books), slices_(slices), clock_(clock) {}

  // `request` is not used after these return.
  void Confirm(const v1::ConfirmReservationRequest& request, absl::Time deadline,
               Done<v1::ConfirmReservationResponse> done);
  void Cancel(const v1::CancelReservationRequest& request, absl::Time deadline,
              Done<v1::CancelReservationResponse> done);
  void Extend(const v1::ExtendReservationRequest& request, absl::Time deadline,
              Done<v1::ExtendReservationResponse> done);

  // Of every call of each.
  const OutcomeCounts& confirmed() const { return confirmed_; }
  const OutcomeCounts& cancelled() const { return cancelled_; }
  const OutcomeCounts& extended() const { return extended_; }

  // While not accepting, every call is answered with DRAINING: another node can serve it.
  void SetAccepting(bool accepting) { accepting_.store(accepting, std::memory_order_relaxed); }

 private:
  // The numbers of the words of the outcomes below; kRebooked and kPaidUnfulfilled only of confirmations.
  enum Outcome : size_t { kDone, kReplayed, kRebooked, kPaidUnfulfilled };

  static Outcome OutcomeOf(const v1::ConfirmReservationResponse& response);
  template <typename Response>
  static Outcome OutcomeOf(const Response& response) {
    return response.replayed() ? kReplayed : kDone;
  }
  // Counts the answer, then passes it on.
  template <typename Response>
  static Done<Response> Counting(OutcomeCounts* outcomes, Done<Response> done);

  absl::Status Admit() const;
  void Apply(const std::string& sku_id, storage::Change change, absl::Time deadline, storage::ChangeDone done);
  void ConfirmLate(storage::Payment payment, absl::Time deadline, const std::string& sku_id,
                   Done<v1::ConfirmReservationResponse> done);
  absl::StatusOr<v1::ConfirmReservationResponse> Confirmed(const storage::Uuid& id, const storage::ChangeResult& result,
                                                           bool late) const;
  template <typename Response>
  absl::StatusOr<Response> Changed(const storage::Uuid& id, const absl::StatusOr<storage::ChangeResult>& result) const;

  storage::Books* const books_;
  const quota::SliceTable* const slices_;
  storage::Clock* const clock_;
  std::atomic<bool> accepting_{true};
  OutcomeCounts confirmed_{{"confirmed", "replayed", "rebooked", "paid_unfulfilled"}};
  OutcomeCounts cancelled_{{"cancelled", "replayed"}};
  OutcomeCounts extended_{{"extended", "replayed"}};
};

}  // namespace tranche::server
