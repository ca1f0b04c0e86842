// Ends groups whose deadline has passed, so that who has paid is refunded and the units can be sold to others; and what
// unpaid members of ended groups still hold.
#pragma once

#include <cstdint>
#include <functional>

#include "absl/time/time.h"
#include "server/worker/ledger_trouble.h"
#include "server/worker/retry_policy.h"
#include "server/worker/worker_counts.h"
#include "storage/clock.h"
#include "storage/ledger/group_ledger.h"

namespace tranche::server {

struct GroupExpirerOptions {
  // Holds that end. A group's paid members are settled together, so a batch may be larger by one group.
  int batch = 100;
  int holds_per_s = 12500;
  // Look at least this often: groups are opened after the ledger was asked which deadline comes next.
  absl::Duration poll = absl::Milliseconds(200);
  // As of the expirer: while holds do not expire, groups do not end. Absent: never.
  std::function<bool()> paused = {};
};

// Any number may run side by side: the ledger gives them different groups and decides, by its own clock, which ones are
// due. `clock` only measures how long a batch took, and for how long groups are late.
class GroupExpirer {
 public:
  GroupExpirer(storage::GroupLedger* ledger, storage::Clock* clock, RandomSource random, GroupExpirerOptions options);

  // One batch, and a line in the log when groups stay late. Blocks for one call to the ledger; returns how long to wait
  // before the next. One thread at a time.
  absl::Duration Step();

  // How often it was logged that groups stay late: only when calls could do nothing about it for a while.
  int told_late() const { return told_late_; }
  // From any thread.
  const GroupExpiryCounts& counts() const { return counts_; }

 private:
  void NoteDue(const storage::ExpiredGroups& ended, absl::Time now);
  void TellIfLate(absl::Time now);

  storage::GroupLedger* const ledger_;
  storage::Clock* const clock_;
  const GroupExpirerOptions options_;
  LedgerTrouble trouble_;
  GroupExpiryCounts counts_;
  // Since when something has been due, to settle what is over included, and no call could do anything about it. The
  // future: nothing is.
  absl::Time due_since_ = absl::InfiniteFuture();
  absl::Time tell_late_at_ = absl::InfinitePast();
  int told_late_ = 0;
};

}  // namespace tranche::server
