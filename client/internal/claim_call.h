// A claim with retries, always with the same ids, and what it does about lost answers: the common part of
// SingleClaimCall and CartCall.
#pragma once

#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/internal/retrying_call.h"
#include "tranche/reservation.h"

namespace tranche::internal {

// After a lost answer the claim is in doubt, and a refusal alone proves nothing: a node refuses a sold-out SKU from
// memory, and says EXHAUSTED_HERE or DRAINING, without looking up the id. So the call asks the ledger for the id. If
// two look-ups do not find it, the claim was not made, and the last answer stands, also one that only says "not now".
// But who accepts that it is queued stays in doubt then: it may be in the queue, and be sold later.
class ClaimCall : public RetryingCall {
 protected:
  ClaimCall(CallEnvironment& environment, absl::Time deadline, bool retry_of_unknown, bool may_be_queued);

  // The id that tells: the claim's own, or that of a cart's first line, because its lines are made all or none.
  virtual const std::string& reservation_id() const = 0;
  // The node said OK. Ends the call.
  virtual void Granted() = 0;
  // The ledger has a reservation of this id, although the last answer was `refusal`. Ends the call, now or later.
  virtual void Found(Reservation found, const absl::Status& refusal) = 0;
  // Ends the call with this error.
  virtual void EndWith(const absl::Status& error) = 0;

  // For Found(): the claim was not made. Ends the call with `refusal`, unless that is itself not definite.
  void Believe(const absl::Status& refusal);
  // For Found(): why the ledger has refused the claim for good, if `found` says that. Such a row is born cancelled:
  // its hold ends when it begins.
  static std::optional<absl::Status> RefusalIn(const Reservation& found);
  // For Found(): ends the call with COMMIT_UNKNOWN.
  void StayInDoubt(const absl::Status& last);
  // Asks the ledger for an id, within the deadline of the call.
  void LookUp(const std::string& id, absl::AnyInvocable<void(absl::StatusOr<Reservation>)> done);

 private:
  void Finish(const absl::Status& status) final;
  void GiveUp(const absl::Status& status) final;
  absl::Duration TimeToSettle() const final { return 2 * kSettlingTime; }

  void Settle(const absl::Status& refusal);
  void OnLookedUp(const absl::Status& refusal, absl::StatusOr<Reservation> found);

  const bool may_be_queued_;
  int times_not_found_ = 0;
};

}  // namespace tranche::internal
