#include "client/internal/cart_call.h"

#include <memory>
#include <utility>

#include "client/internal/convert.h"
#include "client/internal/status_translation.h"

namespace tranche::internal {
namespace {

// As for single claims (create_call.cc).
constexpr int kRefusalsToBelieve = 2;

}  // namespace

CartCall::CartCall(CallEnvironment& environment, absl::Time deadline, CreateCart cart, Callback callback)
    : RetryingCall(environment, deadline), callback_(std::move(callback)) {
  if (cart.retry_of_unknown) set_outcome_unknown();
  request_ = ToProto(std::move(cart));
}

void CartCall::Send(Stub& stub, absl::Time deadline) {
  request_.set_may_exist(outcome_unknown());
  response_.Clear();
  stub.CreateReservations(context(), deadline, request_, &response_, observer());
}

void CartCall::Finish(const absl::Status& status) {
  const bool in_doubt = !status.ok() && outcome_unknown();
  const bool refused = IsRefusal(status);
  if (in_doubt && refused && ++refusals_in_doubt_ < kRefusalsToBelieve) {
    const absl::Time next = environment().scheduler->Now() + kSettlingTime;
    if (next < deadline() && !environment().closing.load(std::memory_order_relaxed)) {
      environment().scheduler->RunAt(next, [this] { GoOn(); });
      return;
    }
  }
  const std::unique_ptr<CartCall> self(this);
  if (status.ok()) {
    callback_(FromProto(response_));
  } else if (in_doubt && (!refused || refusals_in_doubt_ < kRefusalsToBelieve)) {
    callback_(OutcomeUnknown(request_.lines(0).reservation_id(), status));
  } else {
    callback_(status);
  }
}

}  // namespace tranche::internal
