#include "server/worker/retirer.h"

#include <utility>

namespace tranche::server {

namespace {

// Nobody waits for it, and the likely failure is a batch that takes too long.
constexpr BackoffBounds kPauseAfterFailure = {absl::Minutes(1), absl::Minutes(10)};

}  // namespace

Retirer::Retirer(storage::UpkeepLedger* ledger, storage::Clock* clock, RandomSource random,
                 const RetirerOptions& options)
    : ledger_(ledger),
      options_(options),
      trouble_("retiring reservations", clock, std::move(random), kPauseAfterFailure) {}

absl::Duration Retirer::Step() {
  const absl::StatusOr<int64_t> taken = ledger_->RetireReservations(options_.age, options_.batch, options_.retired);
  if (!taken.ok()) return trouble_.Failed(taken.status());
  trouble_.Answered();
  taken_.Add(*taken);
  return *taken < options_.batch ? options_.interval : options_.pause;
}

}  // namespace tranche::server
