// OpenGroup and JoinGroup with retries: claims that are members of a group.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/internal/claim_call.h"
#include "client/internal/convert.h"
#include "client/internal/status_translation.h"
#include "tranche/error.h"
#include "tranche/group.h"

namespace tranche::internal {

// Request is OpenGroupRequest or JoinGroupRequest. After a lost answer the reservation is looked up as any claim's is.
// The ledger does not tell its group there, and need not: an id is of one claim only.
template <typename Request, typename Response>
class JoinCall final : public ClaimCall {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<JoinedGroup>)>;
  using Method = void (Stub::*)(Stub::Context&, absl::Time, const Request&, Response*, internal::AttemptObserver*);

  // `request` must have its ids.
  JoinCall(CallEnvironment& environment, absl::Time deadline, Method method, Request request, bool retry_of_unknown,
           Callback callback)
      : ClaimCall(environment, deadline, retry_of_unknown, /*may_be_queued=*/false),
        method_(method),
        request_(std::move(request)),
        callback_(std::move(callback)) {}

 private:
  void Send(Stub& stub, absl::Time deadline) override {
    request_.set_may_exist(outcome_unknown());
    (stub.*method_)(context(), deadline, request_, &response_, observer());
  }
  const std::string& reservation_id() const override { return request_.reservation_id(); }
  void Granted() override { End(Joined(FromProto(response_.reservation(), response_.replayed()))); }
  void Found(Reservation found, const absl::Status& refusal) override {
    if (!IsClaimOf(found, request_)) {
      // The id belongs to another claim.
      Believe(refusal);
      return;
    }
    found.replayed = true;
    End(Joined(std::move(found)));
  }
  void EndWith(const absl::Status& error) override {
    absl::Status ended = error;
    // To send it again, both ids are needed.
    if (IsOutcomeUnknown(ended)) SetMetadata(ended, "group_id", request_.group_id());
    End(std::move(ended));
  }

  JoinedGroup Joined(Reservation reservation) const {
    return {.group_id = request_.group_id(), .reservation = std::move(reservation)};
  }
  void End(absl::StatusOr<JoinedGroup> answer) {
    const std::unique_ptr<JoinCall> self(this);
    callback_(std::move(answer));
  }

  const Method method_;
  Request request_;
  Response response_;
  Callback callback_;
};

}  // namespace tranche::internal
