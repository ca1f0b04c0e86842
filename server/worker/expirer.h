// Expires unpaid holds whose time is over, so that their units can be sold to others.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "server/worker/ledger_trouble.h"
#include "server/worker/retry_policy.h"
#include "server/worker/worker_counts.h"
#include "storage/clock.h"
#include "storage/ledger/upkeep_ledger.h"

namespace tranche::server {

struct ExpirerOptions {
  // Small batches and a bounded rate, so that very many holds that expire at once do not crowd out the sale: see
  // docs/measurements.md.
  int batch = 100;
  int holds_per_s = 12500;
  // Look at least this often: a hold may be created, or extended to less, after the ledger was asked what lapses next.
  absl::Duration poll = absl::Milliseconds(200);
  // Asked before each batch, and may block for a call to a ledger. While it says so, no hold expires. Absent: never.
  std::function<bool()> paused = {};
};

// Any number may run side by side: the ledger gives them different holds and decides, by its own clock, which ones are
// due. `clock` only measures how long a batch took.
class Expirer {
 public:
  Expirer(storage::UpkeepLedger* ledger, storage::Clock* clock, RandomSource random, const ExpirerOptions& options);

  // One batch, and a line in the log when a SKU stays locked. Blocks for one call to the ledger; returns how long to
  // wait before the next. One thread at a time.
  absl::Duration Step();

  // When a batch last succeeded, or was not to be made; nullopt: never. From any thread.
  std::optional<absl::Time> succeeded_at() const;

  // How often it was logged that a SKU stays locked.
  int told_locked() const { return told_locked_; }
  // From any thread.
  const ExpiryCounts& counts() const { return counts_; }

 private:
  void Count(const absl::StatusOr<storage::ExpiredHolds>& expired);
  void NoteLocked(const std::string& sku_id, absl::Time now);

  storage::UpkeepLedger* const ledger_;
  storage::Clock* const clock_;
  const ExpirerOptions options_;
  LedgerTrouble trouble_;
  ExpiryCounts counts_;
  // Since when one SKU or another has been waited for in vain, and when one was last.
  absl::Time locked_since_ = absl::InfinitePast();
  absl::Time locked_at_ = absl::InfinitePast();
  absl::Time tell_locked_at_ = absl::InfinitePast();
  int told_locked_ = 0;
};

}  // namespace tranche::server
