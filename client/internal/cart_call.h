// CreateReservations with retries, always with the same ids.
#pragma once

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "client/internal/retrying_call.h"
#include "tranche/reservation.h"

namespace tranche::internal {

// After a lost answer, every further try says that the cart may exist, so that the node asks the ledger before it
// refuses. A refusal is believed only when it is repeated a moment later: the first may have overtaken the commit.
class CartCall final : public RetryingCall {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Cart>)>;
  // There must be at least one line, and the lines must have their ids.
  CartCall(CallEnvironment& environment, absl::Time deadline, CreateCart cart, Callback callback);

 private:
  void Send(Stub& stub, absl::Time deadline) override;
  void Finish(const absl::Status& status) override;

  tranche::v1::CreateReservationsRequest request_;
  tranche::v1::CreateReservationsResponse response_;
  Callback callback_;
  int refusals_in_doubt_ = 0;
};

}  // namespace tranche::internal
