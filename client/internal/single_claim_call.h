// The claims of one reservation with retries: CreateReservation, OpenGroup and JoinGroup.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/internal/claim_call.h"
#include "client/internal/claim_wait.h"
#include "client/internal/convert.h"
#include "tranche/error.h"
#include "tranche/reservation.h"

namespace tranche::internal {

// After a lost answer the reservation is looked up. Its group is left out of the comparison: an older node does not
// tell it. The node that is asked again compares it.
template <typename Request, typename Response>
class SingleClaimCall final : public ClaimCall {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Reservation>)>;
  using Method = void (Stub::*)(Stub::Context&, absl::Time, const Request&, Response*, internal::AttemptObserver*);

  // `claim`: the plain value of Request, with its ids.
  template <typename Claim>
  SingleClaimCall(CallEnvironment& environment, absl::Time deadline, Method method, Claim claim, Callback callback)
      : ClaimCall(environment, deadline, claim.retry_of_unknown, claim.accept_queued),
        method_(method),
        terms_{claim.decide_within, std::move(claim.on_queued)},
        request_(ToProto(std::move(claim))),
        callback_(std::move(callback)) {
    // The stub looks for it in the answers to these.
    if constexpr (std::is_same_v<Request, tranche::v1::CreateReservationRequest>) {
      request_.set_refusal_in_response(true);
    }
  }

 private:
  void Send(Stub& stub, absl::Time deadline) override {
    // A node refuses a sold-out SKU from memory, so it must be told that this id may be booked already.
    request_.set_may_exist(outcome_unknown());
    (stub.*method_)(context(), deadline, request_, &response_, observer());
  }
  const std::string& reservation_id() const override { return request_.reservation_id(); }
  void Granted() override {
    if (!response_.has_queued()) return End(FromProto(response_.reservation(), response_.replayed()));
    const std::unique_ptr<SingleClaimCall> self(this);
    AwaitDecision(environment(), reservation_id(), FromProto(response_.queued()), std::move(terms_),
                  std::move(callback_));
  }
  void Found(Reservation found, const absl::Status& refusal) override {
    // The id belongs to another claim. The node has that from the ledger, and compares more than is done here.
    const bool reused = ReasonOf(refusal) == Reason::kReservationIdReused;
    if (reused || !IsClaimed(found)) return Believe(refusal);
    if (const std::optional<absl::Status> refused = RefusalIn(found)) return End(*refused);
    found.replayed = true;
    End(std::move(found));
  }
  void EndWith(const absl::Status& error) override { End(error); }

  // Whether the ledger's reservation is what the request asks for.
  bool IsClaimed(const Reservation& found) const {
    // An older node without order references drops the reference, and so does not return it.
    return found.sku_id == request_.sku_id() && found.user_id == request_.user_id() &&
           found.quantity == request_.quantity() &&
           (found.order_reference.empty() || found.order_reference == request_.order_reference());
  }
  void End(absl::StatusOr<Reservation> answer) {
    const std::unique_ptr<SingleClaimCall> self(this);
    callback_(std::move(answer));
  }

  const Method method_;
  DecisionTerms terms_;
  Request request_;
  Response response_;
  Callback callback_;
};

}  // namespace tranche::internal
