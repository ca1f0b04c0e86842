#include "tranche/reservation_watch.h"

#include <utility>

#include "client/internal/watch_session.h"

namespace tranche {

ReservationWatch::ReservationWatch(std::shared_ptr<internal::ReservationWatchSession> session)
    : session_(std::move(session)) {}

ReservationWatch::~ReservationWatch() { session_->Close(); }

absl::StatusOr<std::optional<Reservation>> ReservationWatch::Next(absl::Duration timeout) {
  return session_->Next(timeout);
}

void ReservationWatch::Cancel() { session_->Cancel(); }

}  // namespace tranche
