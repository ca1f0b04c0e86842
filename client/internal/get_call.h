// GetReservation with retries.
#pragma once

#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "client/internal/retrying_call.h"
#include "tranche/reservation.h"

namespace tranche::internal {

class GetCall : public RetryingCall {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Reservation>)>;
  // `after_lost_answer` as in the request's proto.
  GetCall(CallEnvironment& environment, absl::Time deadline, std::string reservation_id, Callback callback,
          bool after_lost_answer = false);

 private:
  void Send(Stub& stub, absl::Time deadline) override;
  void Finish(const absl::Status& status) override;

  tranche::v1::GetReservationRequest request_;
  tranche::v1::GetReservationResponse response_;
  Callback callback_;
};

}  // namespace tranche::internal
