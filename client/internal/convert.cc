#include "client/internal/convert.h"

#include <utility>

#include "client/internal/claim_message.h"
#include "client/internal/proto_time.h"
#include "client/internal/status_translation.h"

namespace tranche {

const char* ReservationStateName(ReservationState state) {
  switch (state) {
    case ReservationState::kPending:
      return "PENDING";
    case ReservationState::kConfirmed:
      return "CONFIRMED";
    case ReservationState::kCancelled:
      return "CANCELLED";
    case ReservationState::kExpired:
      return "EXPIRED";
    case ReservationState::kUnspecified:
      break;
  }
  return "UNSPECIFIED";
}

const char* ConfirmOutcomeName(ConfirmOutcome outcome) {
  switch (outcome) {
    case ConfirmOutcome::kConfirmed:
      return "CONFIRMED";
    case ConfirmOutcome::kRebooked:
      return "REBOOKED";
    case ConfirmOutcome::kPaidUnfulfilled:
      return "PAID_UNFULFILLED";
    case ConfirmOutcome::kGroupWaiting:
      return "GROUP_WAITING";
    case ConfirmOutcome::kUnspecified:
      break;
  }
  return "UNSPECIFIED";
}

const char* SaleStateName(SaleState state) {
  switch (state) {
    case SaleState::kOpen:
      return "OPEN";
    case SaleState::kClosed:
      return "CLOSED";
    case SaleState::kNotYet:
      return "NOT_YET";
    case SaleState::kSoldOut:
      return "SOLD_OUT";
    case SaleState::kEnded:
      return "ENDED";
    case SaleState::kPaused:
      return "PAUSED";
    case SaleState::kUnspecified:
      break;
  }
  return "UNSPECIFIED";
}

const char* AvailabilityName(Availability availability) {
  switch (availability) {
    case Availability::kPlenty:
      return "PLENTY";
    case Availability::kFew:
      return "FEW";
    case Availability::kNoneForNow:
      return "NONE_FOR_NOW";
    case Availability::kNone:
      return "NONE";
    case Availability::kUnspecified:
      break;
  }
  return "UNSPECIFIED";
}

namespace internal {
namespace {

Sku ToSku(const tranche::v1::CatalogSku& message, const google::protobuf::Duration& age) {
  Sku sku;
  sku.sku_id = message.sku_id();
  sku.title = message.title();
  sku.price_minor = message.price_minor();
  sku.currency = message.currency();
  if (message.has_open_time()) sku.open_time = ToTime(message.open_time());
  if (message.has_close_time()) sku.close_time = ToTime(message.close_time());
  sku.per_user_limit = message.per_user_limit();
  sku.hold = ToDuration(message.hold());
  sku.state = static_cast<SaleState>(message.state());
  sku.pause_reason = message.pause_reason();
  sku.availability = static_cast<Availability>(message.availability());
  sku.age = ToDuration(age);
  return sku;
}

WaitingPlace ToPlace(const tranche::v1::WaitingPlace& message) {
  WaitingPlace place;
  place.ticket = message.ticket();
  if (message.has_ahead()) place.ahead = message.ahead();
  if (message.has_expected_wait()) place.expected_wait = ToDuration(message.expected_wait());
  if (message.has_as_of()) place.as_of = ToTime(message.as_of());
  place.round = message.round();
  place.commitment = message.commitment();
  place.rank = message.rank();
  place.threshold = message.threshold();
  place.shuffled = message.shuffled();
  place.sale_refusal = message.sale_refusal();
  place.sale_refusal_text = message.sale_refusal_text();
  return place;
}

bool SaysAnything(const BuyerHints& hints) {
  return hints.risk_score.has_value() || hints.account_create_time.has_value() || hints.earlier_orders.has_value() ||
         !hints.labels.empty();
}

void SetHints(BuyerHints hints, tranche::v1::BuyerHints& message) {
  if (hints.risk_score.has_value()) message.set_risk_score(*hints.risk_score);
  if (hints.account_create_time.has_value()) {
    // Rounded down, so that the rest is never negative, which a Timestamp could not have.
    const int64_t seconds = absl::ToUnixSeconds(*hints.account_create_time);
    const absl::Duration rest = *hints.account_create_time - absl::FromUnixSeconds(seconds);
    message.mutable_account_create_time()->set_seconds(seconds);
    message.mutable_account_create_time()->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
  }
  if (hints.earlier_orders.has_value()) message.set_earlier_orders(*hints.earlier_orders);
  for (std::string& label : hints.labels) message.add_labels(std::move(label));
}

EntryDelay ToDelay(const tranche::v1::Delay& message) {
  EntryDelay delay;
  delay.ticket = message.ticket();
  if (message.has_ready_time()) delay.ready_time = ToTime(message.ready_time());
  if (message.has_expire_time()) delay.expire_time = ToTime(message.expire_time());
  return delay;
}

}  // namespace

tranche::v1::CreateReservationRequest ToProto(CreateReservation request) {
  return ClaimMessage<tranche::v1::CreateReservationRequest>(request);
}

tranche::v1::CreateReservationsRequest ToProto(CreateCart cart) {
  tranche::v1::CreateReservationsRequest message;
  message.set_user_id(std::move(cart.user));
  message.set_order_reference(std::move(cart.order_reference));
  message.set_buyer_address(std::move(cart.buyer_address));
  message.set_accept_queued(cart.accept_queued);
  for (CartLine& line : cart.lines) {
    tranche::v1::CartLine* added = message.add_lines();
    added->set_reservation_id(std::move(line.reservation_id));
    added->set_sku_id(std::move(line.sku));
    added->set_quantity(line.quantity);
    added->set_purchase_token(std::move(line.purchase_token));
  }
  return message;
}

tranche::v1::ConfirmReservationRequest ToProto(ConfirmReservation change) {
  tranche::v1::ConfirmReservationRequest message;
  message.set_reservation_id(std::move(change.reservation_id));
  message.set_payment_reference(std::move(change.payment_reference));
  message.set_amount_minor(change.amount_minor);
  message.set_currency(std::move(change.currency));
  message.set_sku_id(std::move(change.sku));
  return message;
}

tranche::v1::CancelReservationRequest ToProto(CancelReservation change) {
  tranche::v1::CancelReservationRequest message;
  message.set_reservation_id(std::move(change.reservation_id));
  message.set_reason(std::move(change.reason));
  message.set_sku_id(std::move(change.sku));
  return message;
}

tranche::v1::ExtendReservationRequest ToProto(const ExtendReservation& change) {
  tranche::v1::ExtendReservationRequest message;
  message.set_reservation_id(change.reservation_id);
  absl::Duration rest;
  message.mutable_extend_by()->set_seconds(absl::IDivDuration(change.by, absl::Seconds(1), &rest));
  // The node refuses it, which is better than silent rounding.
  message.mutable_extend_by()->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
  message.set_extension(change.extension);
  message.set_sku_id(change.sku);
  return message;
}

tranche::v1::ListReservationsRequest ToProto(ListReservations query) {
  tranche::v1::ListReservationsRequest message;
  message.set_user_id(std::move(query.user));
  message.set_sku_id(std::move(query.sku));
  for (const ReservationState state : query.states) {
    message.add_states(static_cast<tranche::v1::ReservationState>(state));
  }
  message.set_page_size(query.page_size);
  message.set_page_token(std::move(query.page_token));
  return message;
}

tranche::v1::CatalogServiceListSkusRequest ToProto(ListSkus query) {
  tranche::v1::CatalogServiceListSkusRequest message;
  message.set_page_size(query.page_size);
  message.set_page_token(std::move(query.page_token));
  return message;
}

tranche::v1::EnterSaleRequest ToProto(EnterSale request) {
  tranche::v1::EnterSaleRequest message;
  message.set_sku_id(std::move(request.sku));
  message.set_user_id(std::move(request.user));
  message.set_challenge_solution(std::move(request.challenge_solution));
  message.set_buyer_address(std::move(request.buyer_address));
  message.set_waiting_ticket(std::move(request.waiting_ticket));
  // Without any, the message stays absent: a rule's no_hints asks for that.
  if (SaysAnything(request.hints)) SetHints(std::move(request.hints), *message.mutable_hints());
  message.set_captcha_response(std::move(request.captcha_response));
  message.set_without_scripts(request.without_scripts);
  message.set_delay_ticket(std::move(request.delay_ticket));
  return message;
}

Reservation FromProto(const tranche::v1::Reservation& message, bool replayed) {
  Reservation reservation;
  reservation.reservation_id = message.reservation_id();
  reservation.sku_id = message.sku_id();
  reservation.user_id = message.user_id();
  reservation.quantity = message.quantity();
  reservation.state = static_cast<ReservationState>(message.state());
  reservation.amount_minor = message.amount_minor();
  reservation.currency = message.currency();
  reservation.create_time = ToTime(message.create_time());
  reservation.expire_time = ToTime(message.expire_time());
  reservation.remaining_hold = ToDuration(message.remaining_hold());
  if (message.has_finish_time()) reservation.finish_time = ToTime(message.finish_time());
  reservation.payment_reference = message.payment_reference();
  reservation.cancel_reason = message.cancel_reason();
  reservation.extensions = message.extensions();
  reservation.revision = message.revision();
  reservation.rebooked_from = message.rebooked_from();
  reservation.order_reference = message.order_reference();
  reservation.group_id = message.group_id();
  reservation.replayed = replayed;
  return reservation;
}

Cart FromProto(const tranche::v1::CreateReservationsResponse& message) {
  Cart cart;
  for (const tranche::v1::Reservation& line : message.reservations()) {
    cart.reservations.push_back(FromProto(line, message.replayed()));
  }
  cart.replayed = message.replayed();
  return cart;
}

QueuedClaim FromProto(const tranche::v1::QueuedClaim& message) {
  QueuedClaim queued;
  queued.ticket = message.ticket();
  queued.ahead = message.ahead();
  queued.poll_after = ToDuration(message.poll_after());
  if (message.has_decide_time()) queued.decide_time = ToTime(message.decide_time());
  return queued;
}

absl::StatusOr<ClaimOutcome> FromProto(const tranche::v1::GetClaimResponse& message) {
  using Response = tranche::v1::GetClaimResponse;
  switch (message.outcome_case()) {
    case Response::kQueued:
      return ClaimOutcome{.queued = FromProto(message.queued())};
    case Response::kCreated:
      return ClaimOutcome{.created = FromProto(message.created().reservation(), message.created().replayed())};
    case Response::kCartCreated:
      return ClaimOutcome{.cart_created = FromProto(message.cart_created())};
    case Response::kRefused:
      if (message.refused().code() != 0) return ClaimOutcome{.refused = ToAbslStatus(message.refused())};
      break;
    case Response::OUTCOME_NOT_SET:
      break;
  }
  return absl::InternalError("the node said nothing about the claim that could be understood");
}

Confirmation FromProto(const tranche::v1::ConfirmReservationResponse& message) {
  Confirmation confirmation;
  confirmation.outcome = static_cast<ConfirmOutcome>(message.outcome());
  confirmation.reservation = FromProto(message.reservation(), message.replayed());
  if (message.has_rebooked()) confirmation.rebooked = FromProto(message.rebooked(), message.replayed());
  confirmation.replayed = message.replayed();
  return confirmation;
}

Reservation FromProto(const tranche::v1::CancelReservationResponse& message) {
  return FromProto(message.reservation(), message.replayed());
}

Reservation FromProto(const tranche::v1::ExtendReservationResponse& message) {
  return FromProto(message.reservation(), message.replayed());
}

ReservationPage FromProto(const tranche::v1::ListReservationsResponse& message) {
  ReservationPage page;
  for (const tranche::v1::Reservation& one : message.reservations()) {
    page.reservations.push_back(FromProto(one, /*replayed=*/false));
  }
  page.next_page_token = message.next_page_token();
  return page;
}

std::vector<Reservation> FromProto(const tranche::v1::BatchGetReservationsResponse& message) {
  std::vector<Reservation> found;
  for (const tranche::v1::Reservation& one : message.reservations()) {
    found.push_back(FromProto(one, /*replayed=*/false));
  }
  return found;
}

Sku FromProto(const tranche::v1::CatalogServiceGetSkuResponse& message) { return ToSku(message.sku(), message.age()); }

SkuPage FromProto(const tranche::v1::CatalogServiceListSkusResponse& message) {
  SkuPage page;
  for (const tranche::v1::CatalogSku& one : message.skus()) page.skus.push_back(ToSku(one, message.age()));
  page.next_page_token = message.next_page_token();
  return page;
}

SaleEntry FromProto(const tranche::v1::EnterSaleResponse& message) {
  SaleEntry entry;
  entry.admitted = message.admitted();
  entry.purchase_token = message.purchase_token();
  if (message.has_token_expire_time()) entry.token_expire_time = ToTime(message.token_expire_time());
  if (message.has_challenge()) {
    entry.challenge = message.challenge().altcha();
    entry.challenge_expire_time = ToTime(message.challenge().expire_time());
  }
  entry.challenge_problem = message.challenge_problem();
  entry.retry_after = ToDuration(message.retry_after());
  if (message.has_lottery()) {
    entry.lottery = LotteryTicket{.round = message.lottery().round(),
                                  .commitment = message.lottery().commitment(),
                                  .rank = message.lottery().rank(),
                                  .threshold = message.lottery().threshold()};
  }
  if (message.has_place()) entry.place = ToPlace(message.place());
  entry.captcha_site_key = message.captcha().site_key();
  entry.captcha_problem = message.captcha_problem();
  if (message.has_delay()) entry.delay = ToDelay(message.delay());
  return entry;
}

}  // namespace internal
}  // namespace tranche
