// What the client sends and gets, as plain values.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace tranche {

enum class ReservationState {
  kUnspecified = 0,
  kPending = 1,  // held, not yet paid
  kConfirmed = 2,
  kCancelled = 3,
  kExpired = 4,
};

// "PENDING", "CONFIRMED", ...
const char* ReservationStateName(ReservationState state);

// One buyer's claim.
struct Reservation {
  std::string reservation_id;
  std::string sku_id;
  std::string user_id;
  int32_t quantity = 0;
  ReservationState state = ReservationState::kUnspecified;
  int64_t amount_minor = 0;  // for the whole quantity, in the currency's minor unit (cents)
  std::string currency;      // ISO 4217
  absl::Time create_time;
  absl::Time expire_time;         // by the ledger's clock
  absl::Duration remaining_hold;  // when the answer was made; use this where clocks may differ
  // True when the id had been committed before and the first answer is repeated.
  bool replayed = false;
};

// A request for a reservation.
struct CreateReservation {
  std::string sku = {};
  std::string user = {};
  int32_t quantity = 1;
  // Identifies the claim and makes it safe to send again. Empty: the client makes one, and an error whose outcome is
  // unknown carries it. Give your own (MakeUuidV7()) and store it first to survive a crash of your process.
  std::string reservation_id = {};
  // Set when an earlier Create with this id ended with an unknown outcome. A refusal is then checked against the ledger
  // before it is believed: a front node refuses a sold-out SKU from memory, without looking for the id.
  bool retry_of_unknown = false;
};

}  // namespace tranche
