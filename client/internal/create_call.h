// CreateReservation with retries.
#pragma once

#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "client/internal/claim_call.h"
#include "client/internal/claim_wait.h"
#include "tranche/reservation.h"

namespace tranche::internal {

class CreateCall final : public ClaimCall {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Reservation>)>;
  // `request` must have its id.
  CreateCall(CallEnvironment& environment, absl::Time deadline, CreateReservation request, Callback callback);

 private:
  void Send(Stub& stub, absl::Time deadline) override;
  const std::string& reservation_id() const override { return request_.reservation_id(); }
  void Granted() override;
  void Found(Reservation found, const absl::Status& refusal) override;
  void EndWith(const absl::Status& error) override { End(error); }

  void End(absl::StatusOr<Reservation> answer);

  DecisionTerms terms_;
  tranche::v1::CreateReservationRequest request_;
  tranche::v1::CreateReservationResponse response_;
  Callback callback_;
};

}  // namespace tranche::internal
