// Expires unpaid holds whose time is over, so that their units are sold to others.
#pragma once

#include "absl/time/time.h"
#include "server/worker/ledger_trouble.h"
#include "server/worker/retry_policy.h"
#include "storage/clock.h"
#include "storage/ledger/upkeep_ledger.h"

namespace tranche::server {

struct ExpirerOptions {
  // Small batches and a bounded rate keep an expiry of very many holds at once from crowding out the sale: see
  // docs/measurements.md.
  int batch = 100;
  int holds_per_s = 12500;
  // A hold may be created, or extended to less, after the ledger was asked what lapses next.
  absl::Duration poll = absl::Milliseconds(200);
};

// Any number side by side: the ledger gives them different holds. Which holds are due is the ledger's business, by its
// own clock; `clock` only measures how long a batch took.
class Expirer {
 public:
  Expirer(storage::UpkeepLedger* ledger, storage::Clock* clock, RandomSource random, const ExpirerOptions& options);

  // One batch. Blocks for one call of the ledger; returns how long to wait for the next. One thread at a time.
  absl::Duration Step();

 private:
  storage::UpkeepLedger* const ledger_;
  storage::Clock* const clock_;
  const ExpirerOptions options_;
  LedgerTrouble trouble_;
};

}  // namespace tranche::server
