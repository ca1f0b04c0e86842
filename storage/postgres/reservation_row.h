// A reservation, as the procedures return it.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "storage/ledger/reservation_ledger.h"
#include "storage/postgres/columns.h"

namespace tranche::storage {

// The columns of the view reservation_columns, in any answer that has them.
Columns<Reservation> ReservationColumns(const pqxx::result& rows);

// Rows of reservation_columns. Throws UnreadableAnswer.
std::vector<Reservation> ToReservations(const pqxx::result& rows);

// Throws UnreadableAnswer for a state that this version does not know.
ReservationState ToReservationState(absl::string_view text);
// An array literal of their names.
std::string ToLiteral(absl::Span<const ReservationState> states);
std::string ToLiteral(absl::Span<const Uuid> ids);

}  // namespace tranche::storage
