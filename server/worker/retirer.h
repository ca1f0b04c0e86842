// Moves old reservations out of the live tables, a bounded batch at a time.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "server/worker/ledger_trouble.h"
#include "server/worker/retry_policy.h"
#include "storage/base/counter.h"
#include "storage/ledger/upkeep_ledger.h"

namespace tranche::server {

struct RetirerOptions {
  absl::Duration age = absl::Hours(24 * 30);  // at least storage::kLeastRetention
  storage::Retired retired = storage::Retired::kArchive;
  int batch = 1000;
  // The pause between batches while there are more, and between looks when there are none.
  absl::Duration pause = absl::Milliseconds(200);
  absl::Duration interval = absl::Minutes(1);
};

// Any number may run side by side.
class Retirer {
 public:
  Retirer(storage::UpkeepLedger* ledger, storage::Clock* clock, RandomSource random, const RetirerOptions& options);

  // One batch. Blocks for one call to the ledger; returns how long to wait before the next. One thread at a time.
  absl::Duration Step();

  // From any thread: how many reservations it has taken, and what becomes of them.
  int64_t taken() const { return taken_.value(); }
  storage::Retired retired() const { return options_.retired; }

 private:
  storage::UpkeepLedger* const ledger_;
  const RetirerOptions options_;
  LedgerTrouble trouble_;
  Counter taken_;
};

}  // namespace tranche::server
