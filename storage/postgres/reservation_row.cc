#include "storage/postgres/reservation_row.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "storage/postgres/answer.h"
#include "storage/postgres/array_literal.h"

namespace tranche::storage {
namespace {

constexpr Column<Reservation> kReservationTable[] = {
    {"reservation_id", [](const pqxx::field& field, Reservation* to) { to->reservation_id = UuidOf(field); }},
    {"sku_id", [](const pqxx::field& field, Reservation* to) { to->sku_id = field.c_str(); }},
    {"user_id", [](const pqxx::field& field, Reservation* to) { to->user_id = field.c_str(); }},
    {"quantity", [](const pqxx::field& field, Reservation* to) { to->quantity = field.as<int32_t>(); }},
    {"state", [](const pqxx::field& field, Reservation* to) { to->state = ToReservationState(TextOf(field)); }},
    {"amount_minor", [](const pqxx::field& field, Reservation* to) { to->amount_minor = field.as<int64_t>(); }},
    {"currency", [](const pqxx::field& field, Reservation* to) { to->currency = field.c_str(); }},
    {"created_us", [](const pqxx::field& field, Reservation* to) { to->created_at = TimeOf(field); }},
    {"expires_us", [](const pqxx::field& field, Reservation* to) { to->expires_at = TimeOf(field); }},
    {"finished_us", [](const pqxx::field& field, Reservation* to) { to->finished_at = TimeOf(field); }},
    {"payment_reference", [](const pqxx::field& field, Reservation* to) { to->payment_reference = field.c_str(); }},
    {"cancel_reason", [](const pqxx::field& field, Reservation* to) { to->cancel_reason = field.c_str(); }},
    {"extensions", [](const pqxx::field& field, Reservation* to) { to->extensions = field.as<int32_t>(); }},
    {"revision", [](const pqxx::field& field, Reservation* to) { to->revision = field.as<int32_t>(); }},
    {"rebooked_from", [](const pqxx::field& field, Reservation* to) { to->rebooked_from = UuidOf(field); }},
    {"order_reference", [](const pqxx::field& field, Reservation* to) { to->order_reference = field.c_str(); }},
    {"group_id", [](const pqxx::field& field, Reservation* to) { to->group_id = UuidOf(field); }},
};

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
  if (text != "EXPIRED") throw UnreadableAnswer(absl::StrCat("unknown reservation state ", text));
  return ReservationState::kExpired;
}

Columns<Reservation> ReservationColumns(const pqxx::result& rows) { return {rows, kReservationTable}; }

std::vector<Reservation> ToReservations(const pqxx::result& rows) {
  ColumnOf(rows, "reservation_id");
  const Columns<Reservation> columns = ReservationColumns(rows);
  std::vector<Reservation> reservations;
  for (const pqxx::row& row : rows) reservations.push_back(columns.Read(row));
  return reservations;
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
