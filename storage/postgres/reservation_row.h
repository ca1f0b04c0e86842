// A reservation, as the procedures say it.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "storage/ledger/ledger.h"
#include "storage/postgres/columns.h"

namespace tranche::storage {

// The columns of the view reservation_row, in whatever answer has them.
Columns<Reservation> ReservationColumns(const pqxx::result& rows);
// The column that says who sold it, which is no field of a reservation.
inline constexpr char kSellerColumn[] = "incarnation_id";

ReservationState ToReservationState(absl::string_view text);
// An array literal of their names.
std::string ToLiteral(absl::Span<const ReservationState> states);
std::string ToLiteral(absl::Span<const Uuid> ids);

}  // namespace tranche::storage
