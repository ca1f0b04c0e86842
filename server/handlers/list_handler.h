// ListReservations and BatchGetReservations, without gRPC.
#pragma once

#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/books.h"
#include "storage/clock.h"
#include "storage/ledger/lifecycle_ledger.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::server {

// Thread-safe. Outlived by its dependencies.
class ListHandler {
 public:
  // Called exactly once, inline or on another thread; must not block.
  using Done = absl::AnyInvocable<void(absl::StatusOr<v1::ListReservationsResponse>)>;
  using BatchDone = absl::AnyInvocable<void(absl::StatusOr<v1::BatchGetReservationsResponse>)>;

  ListHandler(storage::Books* books, storage::Clock* clock) : books_(books), clock_(clock) {}

  // `request` is not used after these return.
  void List(const v1::ListReservationsRequest& request, absl::Time deadline, Done done);
  void BatchGet(const v1::BatchGetReservationsRequest& request, absl::Time deadline, BatchDone done);

 private:
  struct Query {
    storage::ReservationFilter filter;
    storage::ReservationCursor after;
    int limit = 0;
    absl::Time deadline;
  };

  absl::StatusOr<Query> Check(const v1::ListReservationsRequest& request, absl::Time deadline) const;
  v1::ListReservationsResponse Answer(const storage::ReservationPage& page) const;
  v1::BatchGetReservationsResponse InOrder(const std::vector<storage::Uuid>& ids,
                                           const std::vector<storage::Reservation>& found) const;

  storage::Books* const books_;
  storage::Clock* const clock_;
};

// Page tokens, opaque to callers.
std::string EncodeCursor(const storage::ReservationCursor& cursor);
// "" is the start. FIELD_INVALID if we did not issue the token.
absl::StatusOr<storage::ReservationCursor> DecodeCursor(const std::string& token);

}  // namespace tranche::server
