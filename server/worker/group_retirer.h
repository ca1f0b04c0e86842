// Deletes old groups that are over, with their members, a bounded batch at a time.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "server/worker/ledger_trouble.h"
#include "server/worker/retry_policy.h"
#include "storage/base/counter.h"
#include "storage/ledger/group_ledger.h"

namespace tranche::server {

struct GroupRetirerOptions {
  absl::Duration age = absl::Hours(24 * 30);  // at least storage::kLeastRetention
  int batch = 1000;                           // groups; at most GroupRetirer::kMostGroups are deleted at once
  // The pause between batches while there are more, and between looks when there are none.
  absl::Duration pause = absl::Milliseconds(200);
  absl::Duration interval = absl::Minutes(1);
};

// Any number may run side by side.
class GroupRetirer {
 public:
  // A group takes its members along, and has any number of them: a batch of reservations would be a long transaction.
  static constexpr int kMostGroups = 200;

  GroupRetirer(storage::GroupLedger* ledger, storage::Clock* clock, RandomSource random,
               const GroupRetirerOptions& options);

  // One batch. Blocks for one call to the ledger; returns how long to wait before the next. One thread at a time.
  absl::Duration Step();

  // From any thread: how many groups it has deleted.
  int64_t deleted() const { return deleted_.value(); }

 private:
  storage::GroupLedger* const ledger_;
  const GroupRetirerOptions options_;
  const int batch_;
  LedgerTrouble trouble_;
  Counter deleted_;
};

}  // namespace tranche::server
