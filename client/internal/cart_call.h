// CreateReservations with retries.
#pragma once

#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "client/internal/claim_call.h"
#include "client/internal/claim_wait.h"
#include "tranche/reservation.h"

namespace tranche::internal {

class CartCall final : public ClaimCall {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Cart>)>;
  // There must be at least one line, and the lines must have their ids.
  CartCall(CallEnvironment& environment, absl::Time deadline, CreateCart cart, Callback callback);

 private:
  void Send(Stub& stub, absl::Time deadline) override;
  const std::string& reservation_id() const override { return request_.lines(0).reservation_id(); }
  void Granted() override;
  void Found(Reservation found, const absl::Status& refusal) override;
  void EndWith(const absl::Status& error) override { End(error); }

  bool IsNextLine(const Reservation& found) const;
  void End(absl::StatusOr<Cart> answer);

  DecisionTerms terms_;
  tranche::v1::CreateReservationsRequest request_;
  tranche::v1::CreateReservationsResponse response_;
  Callback callback_;
  Cart found_;  // as far as it was looked up
};

}  // namespace tranche::internal
