// CreateReservation with retries, always with the same id.
#pragma once

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "client/internal/retrying_call.h"
#include "tranche/reservation.h"

namespace tranche::internal {

// When an attempt's outcome was lost and a later one was refused, the refusal alone proves nothing: a node refuses a
// sold-out SKU from memory without looking up the id. So the call then asks the ledger for the id first.
class CreateCall : public RetryingCall {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Reservation>)>;
  // `request` must have its id.
  CreateCall(CallEnvironment& environment, absl::Time deadline, CreateReservation request, Callback callback);

 private:
  void Send(Stub& stub, absl::Time deadline) override;
  void Finish(const absl::Status& status) override;

  void LookUp(const absl::Status& refusal);
  void OnLookedUp(const absl::Status& refusal, absl::StatusOr<Reservation> found);

  tranche::v1::CreateReservationRequest request_;
  tranche::v1::CreateReservationResponse response_;
  Callback callback_;
  int times_not_found_ = 0;
};

}  // namespace tranche::internal
