#include "server/handlers/preview_handler.h"

#include "server/errors.h"
#include "server/handlers/change_checks.h"
#include "server/handlers/change_errors.h"
#include "server/handlers/reservation_messages.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

using storage::ChangeOutcome;
using storage::ChangeResult;

absl::StatusOr<storage::Change> RequestedChange(const v1::PreviewReservationChangeRequest& request) {
  switch (request.change_case()) {
    case v1::PreviewReservationChangeRequest::kConfirm:
      return ToChange(request.confirm());
    case v1::PreviewReservationChangeRequest::kCancel:
      return ToChange(request.cancel());
    case v1::PreviewReservationChangeRequest::kExtend:
      return ToChange(request.extend());
    default:
      return InvalidField("change", "is missing");
  }
}

v1::ConfirmOutcome OutcomeOf(const ChangeResult& result) {
  switch (result.outcome) {
    case ChangeOutcome::kDone:
    case ChangeOutcome::kReplayed:
      return OutcomeOfPaid(result.reservation);
    case ChangeOutcome::kRebooked:
      return v1::CONFIRM_OUTCOME_REBOOKED;
    case ChangeOutcome::kPaidUnfulfilled:
      return v1::CONFIRM_OUTCOME_PAID_UNFULFILLED;
    case ChangeOutcome::kRefused:
      // Its hold would end.
      if (result.refusal == storage::Refusal::kGroupOver) return v1::CONFIRM_OUTCOME_PAID_UNFULFILLED;
      break;
    case ChangeOutcome::kBusy:  // not of a preview: it waits, and is made of one
    case ChangeOutcome::kInDoubt:
      break;
  }
  return v1::CONFIRM_OUTCOME_UNSPECIFIED;
}

// Such a payment is refused, but not for nothing: see LifecycleLedger::ConfirmLate.
bool IsRefunded(const ChangeResult& result) {
  return result.refusal == storage::Refusal::kReservationState || result.refusal == storage::Refusal::kGroupOver;
}

bool HasId(const storage::Reservation& reservation) { return !reservation.reservation_id.is_nil(); }

}  // namespace

absl::StatusOr<v1::PreviewReservationChangeResponse> PreviewHandler::Change(
    const v1::PreviewReservationChangeRequest& request) {
  ASSIGN_OR_RETURN(const storage::Change change, RequestedChange(request));
  const absl::StatusOr<ChangeResult> result = preview_(change);
  if (!result.ok()) return LedgerError(result.status(), "", Repeatable::kYes);
  const bool refunded = request.has_confirm() && IsRefunded(*result);
  if (result->outcome == ChangeOutcome::kRefused && !refunded) {
    return ChangeError(storage::ReservationOf(change), *result, /*refund_requested=*/false);
  }

  v1::PreviewReservationChangeResponse response;
  if (HasId(result->reservation)) Fill(result->reservation, clock_->Now(), response.mutable_reservation());
  if (request.has_confirm()) response.set_outcome(OutcomeOf(*result));
  if (result->rebooked.has_value()) {
    Fill(*result->rebooked, clock_->Now(), response.mutable_rebooked());
    if (!HasId(*result->rebooked)) response.mutable_rebooked()->clear_reservation_id();
  }
  response.set_replayed(result->replayed || result->outcome == ChangeOutcome::kReplayed);
  response.set_refund_requested(refunded || result->outcome == ChangeOutcome::kPaidUnfulfilled);
  return response;
}

}  // namespace tranche::server
