#include "server/handlers/reservation_handler.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/proto_time.h"

namespace tranche::server {
namespace {

using storage::Uuid;

absl::StatusOr<Uuid> CheckReservationId(const std::string& text) {
  if (text.empty()) return FieldError(v1::ERROR_REASON_RESERVATION_ID_REQUIRED, "reservation_id", "is missing");
  const std::optional<Uuid> id = Uuid::Parse(text);
  if (!id.has_value()) {
    return FieldError(v1::ERROR_REASON_RESERVATION_ID_MALFORMED, "reservation_id",
                      "must be a UUID of 36 characters, such as 01890a5d-ac96-774b-bcce-b302099a8057");
  }
  return *id;
}

absl::StatusOr<storage::ReservationClaim> CheckClaim(const v1::CreateReservationRequest& request) {
  if (request.ByteSizeLong() > kMaxCreateBytes) {
    return FieldError(v1::ERROR_REASON_MESSAGE_TOO_LARGE, "request",
                      absl::StrCat("must be at most ", kMaxCreateBytes, " bytes"));
  }
  absl::StatusOr<Uuid> id = CheckReservationId(request.reservation_id());
  if (!id.ok()) return id.status();
  if (absl::Status sku = CheckSkuId(request.sku_id()); !sku.ok()) return sku;
  if (request.user_id().empty()) return FieldError(v1::ERROR_REASON_USER_ID_REQUIRED, "user_id", "is missing");
  if (!IsUserId(request.user_id())) {
    return FieldError(v1::ERROR_REASON_USER_ID_MALFORMED, "user_id",
                      "must be 1 to 128 bytes of UTF-8 without control characters");
  }
  if (request.quantity() < 1) return FieldError(v1::ERROR_REASON_QUANTITY_INVALID, "quantity", "must be at least 1");
  return storage::ReservationClaim{*id, request.sku_id(), request.user_id(), request.quantity()};
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

absl::Status RefusedAs(quota::Refusal refusal) {
  quota::Refused refused;
  refused.refusal = refusal;
  return RefusalError(refused);
}

}  // namespace

ReservationHandler::ReservationHandler(Sell sell, storage::ReservationLedger* ledger,
                                       storage::BoundedExecutor* executor, storage::Clock* clock,
                                       ReservationHandlerOptions options)
    : sell_(std::move(sell)), ledger_(ledger), executor_(executor), clock_(clock), options_(options) {}

void ReservationHandler::Create(const v1::CreateReservationRequest& request, std::optional<absl::Time> deadline,
                                CreateDone done) {
  absl::StatusOr<storage::ReservationClaim> claim = CheckClaim(request);
  if (!claim.ok()) return done(claim.status());
  const absl::StatusOr<absl::Time> effective = EffectiveDeadline(deadline);
  if (!effective.ok()) return done(effective.status());
  if (!serving_.load(std::memory_order_acquire)) return done(RefusedAs(quota::Refusal::kExhaustedHere));

  sell_(*std::move(claim), *effective, request.may_exist(), [done = std::move(done)](quota::SaleResult result) mutable {
    if (const auto* refused = std::get_if<quota::Refused>(&result)) return done(RefusalError(*refused));
    done(std::get<quota::Sold>(std::move(result)));
  });
}

void ReservationHandler::Get(const v1::GetReservationRequest& request, std::optional<absl::Time> deadline,
                             GetDone done) {
  const absl::StatusOr<Uuid> id = CheckReservationId(request.reservation_id());
  if (!id.ok()) return done(id.status());
  const absl::StatusOr<absl::Time> effective = EffectiveDeadline(deadline);
  if (!effective.ok()) return done(effective.status());

  // Shared, so that it can still be answered when the executor has no room.
  auto answer = std::make_shared<GetDone>(std::move(done));
  absl::AnyInvocable<void()> look_up = [this, id = *id, deadline = *effective, answer] {
    (*answer)(Find(id, deadline));
  };
  if (!executor_->TryRun(look_up)) (*answer)(RefusedAs(quota::Refusal::kOverloaded));
}

absl::StatusOr<storage::Reservation> ReservationHandler::Find(const Uuid& id, absl::Time deadline) {
  if (clock_->Now() >= deadline) {
    return MakeError(v1::ERROR_REASON_DEADLINE_PASSED, "The deadline passed before the ledger was asked.");
  }
  absl::StatusOr<storage::CommitResult> found = ledger_->FindReservation(id);
  if (found.ok()) return std::move(found->reservation);
  if (absl::IsNotFound(found.status())) {
    return MakeError(v1::ERROR_REASON_RESERVATION_NOT_FOUND, "There is no reservation with this id.",
                     {{"reservation_id", id.ToString()}});
  }
  return LedgerError(found.status(), "", Repeatable::kYes);
}

void ReservationHandler::Fill(const storage::Reservation& reservation, v1::Reservation* message) const {
  message->set_reservation_id(reservation.reservation_id.ToString());
  message->set_sku_id(reservation.sku_id);
  message->set_user_id(reservation.user_id);
  message->set_quantity(reservation.quantity);
  message->set_state(ToState(reservation.state));
  message->set_amount_minor(reservation.amount_minor);
  message->set_currency(reservation.currency);
  *message->mutable_create_time() = ToTimestamp(reservation.created_at);
  *message->mutable_expire_time() = ToTimestamp(reservation.expires_at);
  if (reservation.state != storage::ReservationState::kPending) return;
  *message->mutable_remaining_hold() =
      ToDuration(std::max(absl::ZeroDuration(), reservation.expires_at - clock_->Now()));
}

absl::StatusOr<absl::Time> ReservationHandler::EffectiveDeadline(std::optional<absl::Time> deadline) const {
  const absl::Time now = clock_->Now();
  if (deadline.has_value()) return std::min(*deadline, now + options_.max_deadline);
  if (options_.default_deadline > absl::ZeroDuration()) {
    return now + std::min(options_.default_deadline, options_.max_deadline);
  }
  return FieldError(v1::ERROR_REASON_DEADLINE_REQUIRED, "deadline", "is missing: set one on the call, such as 2 s");
}

}  // namespace tranche::server
