// A call with retries that may be repeated unchanged: the node does it once and answers the same again.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "client/internal/convert.h"
#include "client/internal/retrying_call.h"
#include "client/internal/status_translation.h"

namespace tranche::internal {

// Answer is what FromProto makes of Response. A refusal is true even after a lost answer: it comes from the ledger,
// which would repeat the first answer if there were one. Without a definite answer the outcome of a change stays
// unknown, and is reported so.
template <typename Request, typename Response, typename Answer>
class RepeatableCall final : public RetryingCall {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Answer>)>;
  using Method = void (Stub::*)(Stub::Context&, absl::Time, const Request&, Response*, internal::AttemptObserver*);

  // `changes`: the id of the reservation that the call changes; "" if it only reads. `in_doubt`: it may have been done
  // before. `throttle` as for RetryingCall.
  RepeatableCall(CallEnvironment& environment, absl::Time deadline, Method method, Request request, std::string changes,
                 Callback callback, bool in_doubt = false, Throttle* throttle = nullptr)
      : RetryingCall(environment, deadline, throttle),
        method_(method),
        request_(std::move(request)),
        changes_(std::move(changes)),
        callback_(std::move(callback)) {
    if (in_doubt) set_outcome_unknown();
  }

 private:
  void Send(Stub& stub, absl::Time deadline) override {
    (stub.*method_)(context(), deadline, request_, &response_, observer());
  }

  void Finish(const absl::Status& status) override {
    const std::unique_ptr<RepeatableCall> self(this);
    if (status.ok()) {
      callback_(FromProto(response_));
    } else if (outcome_unknown() && !changes_.empty() && !IsRefusal(status)) {
      callback_(OutcomeUnknown(changes_, status));
    } else {
      callback_(status);
    }
  }

  const Method method_;
  const Request request_;
  Response response_;
  const std::string changes_;
  Callback callback_;
};

}  // namespace tranche::internal
