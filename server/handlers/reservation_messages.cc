#include "server/handlers/reservation_messages.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/plain_utf8.h"
#include "server/proto_time.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

constexpr size_t kMaxOrderReferenceBytes = 128;

}  // namespace

void FillQueued(const quota::Queued& queued, v1::QueuedClaim* message) {
  message->set_ticket(queued.ticket);
  message->set_ahead(queued.ahead);
  *message->mutable_poll_after() = ToDuration(queued.poll_after);
  *message->mutable_decide_time() = ToTimestamp(queued.decide_at);
}

v1::ReservationState ToState(storage::ReservationState state) {
  switch (state) {
    case storage::ReservationState::kPending:
      return v1::RESERVATION_STATE_PENDING;
    case storage::ReservationState::kConfirmed:
      return v1::RESERVATION_STATE_CONFIRMED;
    case storage::ReservationState::kCancelled:
      return v1::RESERVATION_STATE_CANCELLED;
    case storage::ReservationState::kExpired:
      return v1::RESERVATION_STATE_EXPIRED;
  }
  return v1::RESERVATION_STATE_UNSPECIFIED;
}

void Fill(const storage::Reservation& reservation, absl::Time now, v1::Reservation* message) {
  message->set_reservation_id(reservation.reservation_id.ToString());
  message->set_sku_id(reservation.sku_id);
  message->set_user_id(reservation.user_id);
  message->set_quantity(reservation.quantity);
  message->set_state(ToState(reservation.state));
  message->set_amount_minor(reservation.amount_minor);
  message->set_currency(reservation.currency);
  *message->mutable_create_time() = ToTimestamp(reservation.created_at);
  *message->mutable_expire_time() = ToTimestamp(reservation.expires_at);
  message->set_extensions(reservation.extensions);
  message->set_revision(reservation.revision);
  if (reservation.rebooked_from.has_value()) message->set_rebooked_from(reservation.rebooked_from->ToString());
  message->set_order_reference(reservation.order_reference);
  if (reservation.group_id.has_value()) message->set_group_id(reservation.group_id->ToString());
  if (reservation.state == storage::ReservationState::kPending) {
    *message->mutable_remaining_hold() = ToDuration(std::max(absl::ZeroDuration(), reservation.expires_at - now));
    return;
  }
  if (reservation.finished_at.has_value()) *message->mutable_finish_time() = ToTimestamp(*reservation.finished_at);
  message->set_payment_reference(reservation.payment_reference);
  message->set_cancel_reason(reservation.cancel_reason);
}

std::optional<storage::ReservationState> FromState(v1::ReservationState state) {
  switch (state) {
    case v1::RESERVATION_STATE_PENDING:
      return storage::ReservationState::kPending;
    case v1::RESERVATION_STATE_CONFIRMED:
      return storage::ReservationState::kConfirmed;
    case v1::RESERVATION_STATE_CANCELLED:
      return storage::ReservationState::kCancelled;
    case v1::RESERVATION_STATE_EXPIRED:
      return storage::ReservationState::kExpired;
    default:
      return std::nullopt;
  }
}

v1::ConfirmOutcome OutcomeOfPaid(const storage::Reservation& reservation) {
  const bool waits = reservation.state == storage::ReservationState::kPending;
  return waits ? v1::CONFIRM_OUTCOME_GROUP_WAITING : v1::CONFIRM_OUTCOME_CONFIRMED;
}

std::string StateName(storage::ReservationState state) {
  return std::string(absl::StripPrefix(v1::ReservationState_Name(ToState(state)), "RESERVATION_STATE_"));
}

absl::StatusOr<storage::Uuid> CheckReservationId(const std::string& text, absl::string_view field) {
  if (text.empty()) return FieldError(v1::ERROR_REASON_RESERVATION_ID_REQUIRED, field, "is missing");
  const std::optional<storage::Uuid> id = storage::Uuid::Parse(text);
  if (!id.has_value() || id->is_nil()) {
    return FieldError(v1::ERROR_REASON_RESERVATION_ID_MALFORMED, field,
                      "must be a UUID of 36 characters, such as 01890a5d-ac96-774b-bcce-b302099a8057, and not the nil "
                      "UUID");
  }
  return *id;
}

absl::Status CheckUserId(const std::string& user_id) {
  if (user_id.empty()) return FieldError(v1::ERROR_REASON_USER_ID_REQUIRED, "user_id", "is missing");
  if (!IsUserId(user_id)) {
    return FieldError(v1::ERROR_REASON_USER_ID_MALFORMED, "user_id",
                      "must be 1 to 128 bytes of UTF-8 without control characters");
  }
  return absl::OkStatus();
}

absl::Status CheckBuyer(const std::string& user_id) {
  RETURN_IF_ERROR(CheckUserId(user_id));
  if (IsVisibleUtf8(user_id)) return absl::OkStatus();
  return FieldError(v1::ERROR_REASON_USER_ID_MALFORMED, "user_id",
                    "must not hold invisible characters, nor spaces alone: it would look like another buyer's");
}

absl::Status CheckOrderReference(const std::string& order_reference) {
  if (order_reference.size() <= kMaxOrderReferenceBytes && IsPlainUtf8(order_reference)) return absl::OkStatus();
  return InvalidField("order_reference", absl::StrCat("must be at most ", kMaxOrderReferenceBytes,
                                                      " bytes of UTF-8 without control characters"));
}

absl::Status ReservationNotFound(const storage::Uuid& id) {
  return MakeError(v1::ERROR_REASON_RESERVATION_NOT_FOUND, "There is no reservation with this id.",
                   {{"reservation_id", id.ToString()}});
}

absl::Status WithReservationId(const absl::Status& error, const storage::Uuid& id) {
  return WithMetadata(error, "reservation_id", id.ToString());
}

}  // namespace tranche::server
