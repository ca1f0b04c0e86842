// A reservation, as the procedures say it.
#pragma once

#include <optional>
#include <pqxx/pqxx>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "storage/ledger/reservation_ledger.h"

namespace tranche::storage {

inline absl::string_view TextOf(const pqxx::field& field) { return absl::string_view(field.c_str(), field.size()); }

// The columns of the view reservation_row.
inline constexpr int kReservationColumns = 16;

// The columns of reservation_row, from column `first` on. They are not NULL.
Reservation ToReservation(const pqxx::row& row, int first = 0);

// What changes in a reservation's life: the last columns of reservation_row, from finished_us on, found at `first`.
void FillFate(const pqxx::row& row, int first, Reservation* reservation);

ReservationState ToReservationState(absl::string_view text);
// An array literal of their names.
std::string ToLiteral(absl::Span<const ReservationState> states);
std::string ToLiteral(absl::Span<const Uuid> ids);

}  // namespace tranche::storage
