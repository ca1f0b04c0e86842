#include "server/worker/retirer.h"

#include <utility>

namespace tranche::server {

Retirer::Retirer(storage::UpkeepLedger* ledger, RandomSource random, const RetirerOptions& options)
    : ledger_(ledger), options_(options), trouble_("retiring reservations", std::move(random)) {}

absl::Duration Retirer::Step() {
  const absl::StatusOr<int64_t> taken = ledger_->RetireReservations(options_.age, options_.batch, options_.retired);
  if (!taken.ok()) return trouble_.Failed(taken.status());
  trouble_.Answered();
  return *taken < options_.batch ? options_.interval : options_.pause;
}

}  // namespace tranche::server
