// Follows the changes of one reservation.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tranche/export.h"
#include "tranche/reservation.h"

namespace tranche {

namespace internal {
class ReservationWatchSession;
}

struct WatchOptions {
  // How long the watch may fail at every node before it ends with the last error.
  absl::Duration give_up_after = absl::Minutes(1);
};

// Made by Client::Watch. When its node drains or is lost, it continues at another one. Thread-safe.
class TRANCHE_EXPORT ReservationWatch {
 public:
  explicit ReservationWatch(std::shared_ptr<internal::ReservationWatchSession> session);
  // Does Cancel(), and waits for what is under way. Must not run in a callback.
  ~ReservationWatch();
  ReservationWatch(const ReservationWatch&) = delete;
  ReservationWatch& operator=(const ReservationWatch&) = delete;

  // Waits for another state than the last one returned; states that follow each other fast may be returned as one. The
  // revision falls if the ledger was restored to an older state. nullopt: the last one was final. DEADLINE_EXCEEDED:
  // nothing new came in time, ask again. Any other error ends the watch, such as NOT_FOUND
  // (Reason::kReservationNotFound): there is no such reservation, or the ledger was restored to a state without it.
  absl::StatusOr<std::optional<Reservation>> Next(absl::Duration timeout = absl::InfiniteDuration());

  // Ends the watch: Next returns CANCELLED, unless it has ended before.
  void Cancel();

 private:
  std::shared_ptr<internal::ReservationWatchSession> session_;
};

}  // namespace tranche
