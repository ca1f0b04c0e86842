#include "server/handlers/change_errors.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "server/handlers/reservation_messages.h"

namespace tranche::server {
namespace {

using storage::Refusal;

absl::Status StateForbids(const storage::Reservation& reservation, bool refund_requested) {
  const std::string state = StateName(reservation.state);
  ErrorMetadata metadata = {{"state", state}};
  if (!refund_requested) {
    // The worker has not come to it yet.
    const bool lapsed = reservation.state == storage::ReservationState::kPending;
    return MakeError(
        v1::ERROR_REASON_RESERVATION_STATE,
        lapsed ? "The hold's time is over." : absl::StrCat("The reservation is ", state, ", which forbids this."),
        metadata);
  }
  metadata.emplace_back("refund_requested", "true");
  return MakeError(v1::ERROR_REASON_RESERVATION_STATE,
                   absl::StrCat("The reservation is ", state, "; the payment is recorded and a refund is asked for."),
                   metadata);
}

// Each error's text and what it tells besides the id.
absl::Status RefusedChange(const storage::ChangeResult& result, bool refund_requested) {
  const storage::Reservation& reservation = result.reservation;
  switch (result.refusal) {
    case Refusal::kReservationState:
      return StateForbids(reservation, refund_requested);
    case Refusal::kPaymentMismatch:
      return MakeError(v1::ERROR_REASON_PAYMENT_MISMATCH,
                       absl::StrCat("The reservation costs ", reservation.amount_minor, " (minor units) ",
                                    reservation.currency, ": that is what must be paid."),
                       {{"amount_minor", absl::StrCat(reservation.amount_minor)}, {"currency", reservation.currency}});
    case Refusal::kTooManyExtensions:
      return MakeError(v1::ERROR_REASON_TOO_MANY_EXTENSIONS,
                       absl::StrCat("A hold of this SKU may be extended at most ", result.bound, " times."),
                       {{"max_extensions", absl::StrCat(result.bound)}});
    case Refusal::kHoldTooLong:
      return MakeError(v1::ERROR_REASON_HOLD_TOO_LONG,
                       absl::StrCat("A hold of this SKU may last at most ", result.bound, " s from its creation."),
                       {{"max_hold_seconds", absl::StrCat(result.bound)}});
    case Refusal::kExtensionOutOfOrder:
      return MakeError(v1::ERROR_REASON_EXTENSION_OUT_OF_ORDER,
                       absl::StrCat("The hold was extended ", reservation.extensions, " times: the next extension is ",
                                    reservation.extensions + 1, "."),
                       {{"extensions", absl::StrCat(reservation.extensions)}});
    default:
      return RefusalError({.refusal = result.refusal});
  }
}

}  // namespace

absl::Status ChangeError(const storage::Uuid& id, const storage::ChangeResult& result, bool refund_requested) {
  if (result.refusal == Refusal::kReservationNotFound) return ReservationNotFound(id);
  return WithReservationId(RefusedChange(result, refund_requested), id);
}

absl::Status NotInGroup(const storage::Uuid& id) {
  return WithReservationId(MakeError(v1::ERROR_REASON_NOT_IN_GROUP,
                                     "This reservation was made for no group: CancelReservation gives it up."),
                           id);
}

}  // namespace tranche::server
