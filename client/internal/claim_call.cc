#include "client/internal/claim_call.h"

#include <utility>

#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "client/internal/get_call.h"
#include "client/internal/status_translation.h"
#include "tranche/error.h"

namespace tranche::internal {
namespace {

// "Not found" counts only when it is repeated after kSettlingTime.
constexpr int kLookUpsToBelieve = 2;
// What the cancel_reason of a refused claim begins with; its reason follows.
constexpr char kRefusedPrefix[] = "REFUSED ";

}  // namespace

ClaimCall::ClaimCall(CallEnvironment& environment, absl::Time deadline, bool retry_of_unknown, bool may_be_queued)
    : RetryingCall(environment, deadline, environment.claim_throttle.get()), may_be_queued_(may_be_queued) {
  if (retry_of_unknown) set_outcome_unknown();
}

void ClaimCall::Finish(const absl::Status& status) {
  if (status.ok()) {
    Granted();
  } else if (outcome_unknown()) {
    Settle(status);
  } else {
    EndWith(status);
  }
}

// A look-up would be what the budget has not allowed: one more request for each of thousands that a broken stream has
// left behind.
void ClaimCall::GiveUp(const absl::Status& status) {
  if (outcome_unknown()) {
    StayInDoubt(status);
  } else {
    EndWith(status);
  }
}

void ClaimCall::Settle(const absl::Status& refusal) {
  LookUp(reservation_id(),
         [this, refusal](absl::StatusOr<Reservation> found) { OnLookedUp(refusal, std::move(found)); });
}

void ClaimCall::OnLookedUp(const absl::Status& refusal, absl::StatusOr<Reservation> found) {
  if (found.ok()) {
    Found(*std::move(found), refusal);
    return;
  }
  if (may_be_queued_ || ReasonOf(found.status()) != Reason::kReservationNotFound) {
    StayInDoubt(refusal);
    return;
  }
  if (++times_not_found_ >= kLookUpsToBelieve) {
    Believe(refusal);
    return;
  }
  const absl::Time next = environment().scheduler->Now() + kSettlingTime;
  if (next < deadline()) {
    environment().scheduler->RunAt(next, [this, refusal] { Settle(refusal); });
  } else {
    StayInDoubt(refusal);
  }
}

void ClaimCall::Believe(const absl::Status& refusal) {
  // If the last answer was itself not definite, the claim may still be on its way to the ledger.
  if (Judge(refusal).outcome_unknown) {
    StayInDoubt(refusal);
  } else {
    EndWith(refusal);
  }
}

std::optional<absl::Status> ClaimCall::RefusalIn(const Reservation& found) {
  absl::string_view reason = found.cancel_reason;
  // Its hold ended when it began, and no other does. Its revision tells nothing: a payment that was noted for it raises
  // that.
  const bool born_cancelled = found.state == ReservationState::kCancelled && found.expire_time == found.create_time;
  if (!born_cancelled || !absl::ConsumePrefix(&reason, kRefusedPrefix)) return std::nullopt;
  absl::Status refused = absl::FailedPreconditionError("the claim was queued, and was refused for good");
  SetReason(refused, reason);
  SetMetadata(refused, "sku_id", found.sku_id);
  return refused;
}

void ClaimCall::StayInDoubt(const absl::Status& last) { EndWith(OutcomeUnknown(reservation_id(), last)); }

void ClaimCall::LookUp(const std::string& id, absl::AnyInvocable<void(absl::StatusOr<Reservation>)> done) {
  if (environment().scheduler->Now() >= deadline() || environment().closing.load(std::memory_order_relaxed)) {
    done(absl::DeadlineExceededError("no time was left to look it up"));
    return;
  }
  (new GetCall(environment(), deadline(), id, std::move(done), /*after_lost_answer=*/true))->Start();
}

}  // namespace tranche::internal
