// Converts reservations between the ledger's type and the API's message, and checks the fields that name them.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "quota/sale/sale_result.h"
#include "storage/ledger/reservation_ledger.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::server {

// If it is a hold, the message tells the time that is left at `now`.
void Fill(const storage::Reservation& reservation, absl::Time now, v1::Reservation* message);

void FillQueued(const quota::Queued& queued, v1::QueuedClaim* message);

v1::ReservationState ToState(storage::ReservationState state);
// nullopt if it is not a state.
std::optional<storage::ReservationState> FromState(v1::ReservationState state);
// Of a payment that the ledger has taken, or had before: one that stays a hold has a seat in a group that is not full.
v1::ConfirmOutcome OutcomeOfPaid(const storage::Reservation& reservation);
// "PENDING", "CONFIRMED", ...
std::string StateName(storage::ReservationState state);

// RESERVATION_ID_REQUIRED or RESERVATION_ID_MALFORMED about the field of this name.
absl::StatusOr<storage::Uuid> CheckReservationId(const std::string& text, absl::string_view field = "reservation_id");
// OK, or USER_ID_REQUIRED / USER_ID_MALFORMED.
absl::Status CheckUserId(const std::string& user_id);
// The same, for one who makes a claim: nor may the id hold what nobody sees.
absl::Status CheckBuyer(const std::string& user_id);
// May be empty. FIELD_INVALID.
absl::Status CheckOrderReference(const std::string& order_reference);

absl::Status ReservationNotFound(const storage::Uuid& id);

// `error` with the metadata reservation_id.
absl::Status WithReservationId(const absl::Status& error, const storage::Uuid& id);

}  // namespace tranche::server
