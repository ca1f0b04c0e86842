#include "storage/postgres/reservation_row.h"

#include <utility>

#include "glog/logging.h"
#include "storage/postgres/array_literal.h"

namespace tranche::storage {
namespace {

constexpr int kFateColumn = 10;

pqxx::field At(const pqxx::row& row, int column) { return row[static_cast<pqxx::row::size_type>(column)]; }

Uuid ToUuid(const pqxx::field& field) {
  const std::optional<Uuid> uuid = Uuid::Parse(TextOf(field));
  CHECK(uuid.has_value()) << "no UUID in the ledger: " << TextOf(field);
  return *uuid;
}

const char* NameOf(ReservationState state) {
  switch (state) {
    case ReservationState::kPending:
      return "PENDING";
    case ReservationState::kConfirmed:
      return "CONFIRMED";
    case ReservationState::kCancelled:
      return "CANCELLED";
    case ReservationState::kExpired:
      return "EXPIRED";
  }
  LOG(FATAL) << "unknown reservation state";
}

}  // namespace

ReservationState ToReservationState(absl::string_view text) {
  if (text == "PENDING") return ReservationState::kPending;
  if (text == "CONFIRMED") return ReservationState::kConfirmed;
  if (text == "CANCELLED") return ReservationState::kCancelled;
  CHECK_EQ(text, "EXPIRED") << "unknown reservation state in the ledger";
  return ReservationState::kExpired;
}

void FillFate(const pqxx::row& row, int first, Reservation* reservation) {
  if (!At(row, first).is_null()) {
    reservation->finished_at = absl::FromUnixMicros(At(row, first).as<int64_t>());
  }
  reservation->payment_reference = At(row, first + 1).c_str();
  reservation->cancel_reason = At(row, first + 2).c_str();
  reservation->extensions = At(row, first + 3).as<int32_t>();
  reservation->revision = At(row, first + 4).as<int32_t>();
  if (!At(row, first + 5).is_null()) reservation->rebooked_from = ToUuid(At(row, first + 5));
}

Reservation ToReservation(const pqxx::row& row, int first) {
  Reservation reservation{.reservation_id = ToUuid(At(row, first)),
                          .sku_id = At(row, first + 1).c_str(),
                          .user_id = At(row, first + 2).c_str(),
                          .quantity = At(row, first + 3).as<int32_t>(),
                          .state = ToReservationState(TextOf(At(row, first + 4))),
                          .amount_minor = At(row, first + 5).as<int64_t>(),
                          .currency = At(row, first + 6).c_str(),
                          .created_at = absl::FromUnixMicros(At(row, first + 8).as<int64_t>()),
                          .expires_at = absl::FromUnixMicros(At(row, first + 9).as<int64_t>())};
  FillFate(row, first + kFateColumn, &reservation);
  return reservation;
}

std::string ToLiteral(absl::Span<const ReservationState> states) {
  ArrayLiteral names;
  for (const ReservationState state : states) names.AddPlain(NameOf(state));
  return std::move(names).Finish();
}

std::string ToLiteral(absl::Span<const Uuid> ids) {
  ArrayLiteral literal;
  for (const Uuid& id : ids) literal.AddPlain(id.ToString());
  return std::move(literal).Finish();
}

}  // namespace tranche::storage
