// Deletes old entries of the audit log, a bounded batch at a time.
#pragma once

#include "absl/time/time.h"
#include "server/worker/ledger_trouble.h"
#include "server/worker/retry_policy.h"
#include "storage/ledger/upkeep_ledger.h"

namespace tranche::server {

struct AuditRetirerOptions {
  absl::Duration age = absl::Hours(24 * 400);  // at least storage::kLeastRetention
  int batch = 1000;
  // The pause between batches while there are more, and between looks when there are none.
  absl::Duration pause = absl::Milliseconds(200);
  absl::Duration interval = absl::Minutes(10);
};

// Any number may run side by side.
class AuditRetirer {
 public:
  AuditRetirer(storage::UpkeepLedger* ledger, storage::Clock* clock, RandomSource random,
               const AuditRetirerOptions& options);

  // One batch. Blocks for one call to the ledger; returns how long to wait before the next. One thread at a time.
  absl::Duration Step();

 private:
  storage::UpkeepLedger* const ledger_;
  storage::Clock* const clock_;
  const AuditRetirerOptions options_;
  LedgerTrouble trouble_;
};

}  // namespace tranche::server
