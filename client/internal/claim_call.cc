#include "client/internal/claim_call.h"

#include <utility>

#include "client/internal/get_call.h"
#include "client/internal/status_translation.h"
#include "tranche/error.h"

namespace tranche::internal {
namespace {

// "Not found" counts only when it is repeated after kSettlingTime.
constexpr int kLookUpsToBelieve = 2;

}  // namespace

ClaimCall::ClaimCall(CallEnvironment& environment, absl::Time deadline, bool retry_of_unknown)
    : RetryingCall(environment, deadline, environment.claim_throttle.get()) {
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
  if (ReasonOf(found.status()) != Reason::kReservationNotFound) {
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

void ClaimCall::StayInDoubt(const absl::Status& last) { EndWith(OutcomeUnknown(reservation_id(), last)); }

void ClaimCall::LookUp(const std::string& id, absl::AnyInvocable<void(absl::StatusOr<Reservation>)> done) {
  if (environment().scheduler->Now() >= deadline() || environment().closing.load(std::memory_order_relaxed)) {
    done(absl::DeadlineExceededError("no time was left to look it up"));
    return;
  }
  (new GetCall(environment(), deadline(), id, std::move(done), /*after_lost_answer=*/true))->Start();
}

}  // namespace tranche::internal
