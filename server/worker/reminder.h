// Tells the sinks of unpaid holds that lapse soon, so that a shop can remind its buyers.
//
// The ledger finds them by the same index as those that are due, and keeps how far it has come: no broker, no timer and
// no list of what was told. docs/queue-messages.md compares this with messages that a broker delays.
#pragma once

#include <functional>

#include "absl/time/time.h"
#include "server/worker/ledger_trouble.h"
#include "server/worker/retry_policy.h"
#include "storage/clock.h"
#include "storage/ledger/upkeep_ledger.h"

namespace tranche::server {

struct ReminderOptions {
  absl::Duration within = absl::Minutes(2);  // before a hold lapses
  int batch = 100;
  int holds_per_s = 12500;  // that it goes through, at most
  absl::Duration poll = absl::Seconds(1);
  // While it says so, no hold expires and nobody is told. Absent: never.
  std::function<bool()> paused = {};
};

// Any number may run side by side. If their `within` differ, the longest counts.
class Reminder {
 public:
  // `clock` only measures how long a batch took.
  Reminder(storage::UpkeepLedger* ledger, storage::Clock* clock, RandomSource random, ReminderOptions options);

  // One batch. Blocks for one call to the ledger; returns how long to wait before the next. One thread at a time.
  absl::Duration Step();

 private:
  storage::UpkeepLedger* const ledger_;
  storage::Clock* const clock_;
  const ReminderOptions options_;
  LedgerTrouble trouble_;
};

}  // namespace tranche::server
