#include "client/internal/get_call.h"

#include <memory>
#include <utility>

#include "client/internal/convert.h"

namespace tranche::internal {

GetCall::GetCall(CallEnvironment& environment, absl::Time deadline, std::string reservation_id, Callback callback,
                 bool after_lost_answer)
    : RetryingCall(environment, deadline), callback_(std::move(callback)) {
  request_.set_reservation_id(std::move(reservation_id));
  request_.set_after_lost_answer(after_lost_answer);
}

void GetCall::Send(Stub& stub, absl::Time deadline) {
  stub.GetReservation(context(), deadline, request_, &response_, observer());
}

void GetCall::Finish(const absl::Status& status) {
  const std::unique_ptr<GetCall> self(this);
  if (status.ok()) {
    callback_(FromProto(response_.reservation(), /*replayed=*/false));
  } else {
    callback_(status);
  }
}

}  // namespace tranche::internal
