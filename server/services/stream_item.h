// What an item of StreamReservations asks for: which handler answers it, and how much room its answer may need. Without
// gRPC.
#pragma once

#include <cstdint>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "server/handlers/cart_handler.h"
#include "server/handlers/change_handler.h"
#include "server/handlers/reservation_handler.h"
#include "server/rpc/call_frame.h"
#include "server/services/visitor_addresses.h"
#include "storage/ledger/lifecycle_ledger.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::server {

struct StreamHandlers {
  ReservationHandler* reservation = nullptr;
  CartHandler* cart = nullptr;
  ChangeHandler* change = nullptr;
  VisitorAddresses visitors = {};
};

// Of the StreamBudget: how many reservations the answer may tell, which is at least one.
int64_t RoomOf(const v1::StreamReservationsItem& item);
// A change of a reservation: a payment or a cancellation.
bool IsChange(const v1::StreamReservationsItem& item);
inline constexpr int64_t kMostRoom = storage::kMaxCartLines;

// The result has no sequence yet.
using ItemDone = absl::AnyInvocable<void(absl::StatusOr<v1::StreamReservationsResult>)>;

// Calls `done` exactly once, inline or on another thread, with the result or with an error made by errors.h. The item's
// deadline is its timeout, lowered to the frame's max_deadline, and it is counted as an open call of its kind until
// then. Handlers and frame live until then; `item` is not used after this returns. Does not block, and `done` must not
// either. `of_call`: the buyer's address, as VisitorAddresses says of the call; an item may state another.
void ServeItem(const StreamHandlers& handlers, const CallFrame& frame, const v1::StreamReservationsItem& item,
               ItemDone done, const std::string& of_call = {});

}  // namespace tranche::server
