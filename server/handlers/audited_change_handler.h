// AdminService.ChangeReservation: an operator's confirmation, cancellation, extension or cart. The handlers that
// buyers' calls have do it; this writes the audit entry around it (server/handlers/audited_action.h). Buyers' calls
// know nothing of it and cost the same.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/handlers/audited_action.h"
#include "server/handlers/cart_handler.h"
#include "server/handlers/change_handler.h"
#include "server/handlers/reservation_handler.h"
#include "storage/clock.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

// Blocking: not on gRPC's threads. Thread-safe. Outlived by its dependencies.
class AuditedChangeHandler {
 public:
  // The audit log of the shard that the SKU is believed to be on; home's if that is not known, or for "". Any log will
  // do: the lists are of all of them.
  using LogOf = std::function<storage::AuditLedger*(const std::string& sku_id)>;

  AuditedChangeHandler(ReservationHandler* reservations, CartHandler* carts, ChangeHandler* changes, LogOf log_of,
                       storage::Clock* clock)
      : reservations_(reservations), carts_(carts), changes_(changes), log_of_(std::move(log_of)), clock_(clock) {}

  // A call without a deadline, or with one far away, is given ten seconds.
  absl::StatusOr<v1::ChangeReservationResponse> Change(const v1::ChangeReservationRequest& request,
                                                       const storage::Actor& actor, absl::Time deadline);

 private:
  template <typename Response, typename Request>
  absl::StatusOr<Response> ChangeOne(const Request& request, const char* action, const storage::Actor& actor,
                                     absl::Time deadline,
                                     void (ChangeHandler::*method)(const Request&, absl::Time,
                                                                   ChangeHandler::Done<Response>));
  absl::StatusOr<v1::CreateReservationsResponse> Create(const v1::CreateReservationsRequest& request,
                                                        const storage::Actor& actor, absl::Time deadline);
  // An entry for each SKU, so that each SKU's list has it.
  absl::StatusOr<std::vector<AuditedAction>> BeginCart(const v1::CreateReservationsRequest& request,
                                                       const storage::Actor& actor);
  // As it is now; without an id if the ledger does not know it, or not any more.
  absl::StatusOr<storage::Reservation> Find(const std::string& reservation_id, absl::Time deadline);

  ReservationHandler* const reservations_;
  CartHandler* const carts_;
  ChangeHandler* const changes_;
  const LogOf log_of_;
  storage::Clock* const clock_;
};

}  // namespace tranche::server
