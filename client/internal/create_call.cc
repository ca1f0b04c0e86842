#include "client/internal/create_call.h"

#include <memory>
#include <optional>
#include <utility>

#include "client/internal/convert.h"

namespace tranche::internal {

CreateCall::CreateCall(CallEnvironment& environment, absl::Time deadline, CreateReservation request, Callback callback)
    : ClaimCall(environment, deadline, request.retry_of_unknown, request.accept_queued),
      terms_{request.decide_within, std::move(request.on_queued)},
      request_(ToProto(std::move(request))),
      callback_(std::move(callback)) {
  request_.set_refusal_in_response(true);
}

void CreateCall::Send(Stub& stub, absl::Time deadline) {
  // A node refuses a sold-out SKU from memory, so it must be told that this id may be booked already.
  request_.set_may_exist(outcome_unknown());
  stub.CreateReservation(context(), deadline, request_, &response_, observer());
}

void CreateCall::Granted() {
  if (!response_.has_queued()) return End(FromProto(response_.reservation(), response_.replayed()));
  const std::unique_ptr<CreateCall> self(this);
  AwaitDecision(environment(), reservation_id(), FromProto(response_.queued()), std::move(terms_),
                std::move(callback_));
}

void CreateCall::Found(Reservation found, const absl::Status& refusal) {
  if (!IsClaimOf(found, request_)) {
    // The id belongs to another claim.
    Believe(refusal);
    return;
  }
  if (const std::optional<absl::Status> refused = RefusalIn(found)) return End(*refused);
  found.replayed = true;
  End(std::move(found));
}

void CreateCall::End(absl::StatusOr<Reservation> answer) {
  const std::unique_ptr<CreateCall> self(this);
  callback_(std::move(answer));
}

}  // namespace tranche::internal
