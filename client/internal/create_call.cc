#include "client/internal/create_call.h"

#include <memory>
#include <utility>

#include "client/internal/convert.h"
#include "client/internal/get_call.h"
#include "client/internal/status_translation.h"
#include "tranche/error.h"

namespace tranche::internal {
namespace {

// "Not found" counts only when it is repeated after kSettlingTime.
constexpr int kLookUpsToBelieve = 2;

bool SamePayload(const Reservation& found, const tranche::v1::CreateReservationRequest& request) {
  // An older node without order references drops the reference, and so does not return it.
  return found.sku_id == request.sku_id() && found.user_id == request.user_id() &&
         found.quantity == request.quantity() &&
         (found.order_reference.empty() || found.order_reference == request.order_reference());
}

}  // namespace

CreateCall::CreateCall(CallEnvironment& environment, absl::Time deadline, CreateReservation request, Callback callback)
    : RetryingCall(environment, deadline), callback_(std::move(callback)) {
  if (request.retry_of_unknown) set_outcome_unknown();
  request_ = ToProto(std::move(request));
}

void CreateCall::Send(Stub& stub, absl::Time deadline) {
  // A node refuses a sold-out SKU from memory, so it must be told that this id may be booked already.
  request_.set_may_exist(outcome_unknown());
  stub.CreateReservation(context(), deadline, request_, &response_, observer());
}

void CreateCall::Finish(const absl::Status& status) {
  if (!status.ok() && outcome_unknown()) {
    LookUp(status);
    return;
  }
  const std::unique_ptr<CreateCall> self(this);
  if (status.ok()) {
    callback_(FromProto(response_.reservation(), response_.replayed()));
  } else {
    callback_(status);
  }
}

void CreateCall::LookUp(const absl::Status& refusal) {
  const absl::Time now = environment().scheduler->Now();
  if (now >= deadline() || environment().closing.load(std::memory_order_relaxed)) {
    OnLookedUp(refusal, absl::DeadlineExceededError("no time was left to look it up"));
    return;
  }
  auto* lookup = new GetCall(
      environment(), deadline(), request_.reservation_id(),
      [this, refusal](absl::StatusOr<Reservation> found) { OnLookedUp(refusal, std::move(found)); },
      /*after_lost_answer=*/true);
  lookup->Start();
}

void CreateCall::OnLookedUp(const absl::Status& refusal, absl::StatusOr<Reservation> found) {
  const bool not_found = ReasonOf(found.status()) == Reason::kReservationNotFound;
  if (not_found && ++times_not_found_ < kLookUpsToBelieve) {
    const absl::Time next = environment().scheduler->Now() + kSettlingTime;
    if (next < deadline()) {
      environment().scheduler->RunAt(next, [this, refusal] { LookUp(refusal); });
      return;
    }
  }
  const std::unique_ptr<CreateCall> self(this);
  if (found.ok() && SamePayload(*found, request_)) {
    found->replayed = true;
    callback_(std::move(found));
    return;
  }
  // Found with another payload: the id belongs to another claim. Not found: the refusal was true, unless the last
  // answer was itself not definite; then the claim may still be on its way to the ledger.
  const bool settled = found.ok() || times_not_found_ >= kLookUpsToBelieve;
  if (IsRefusal(refusal) && settled) {
    callback_(refusal);
  } else {
    callback_(OutcomeUnknown(request_.reservation_id(), refusal));
  }
}

}  // namespace tranche::internal
