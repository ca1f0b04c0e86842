#include "client/internal/convert.h"

#include <utility>

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

namespace internal {
namespace {

absl::Time ToTime(const google::protobuf::Timestamp& message) {
  return absl::FromUnixSeconds(message.seconds()) + absl::Nanoseconds(message.nanos());
}

absl::Duration ToDuration(const google::protobuf::Duration& message) {
  return absl::Seconds(message.seconds()) + absl::Nanoseconds(message.nanos());
}

}  // namespace

tranche::v1::CreateReservationRequest ToProto(CreateReservation request) {
  tranche::v1::CreateReservationRequest message;
  message.set_reservation_id(std::move(request.reservation_id));
  message.set_sku_id(std::move(request.sku));
  message.set_user_id(std::move(request.user));
  message.set_quantity(request.quantity);
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
  reservation.replayed = replayed;
  return reservation;
}

}  // namespace internal
}  // namespace tranche
