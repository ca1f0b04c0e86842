#include "server/handlers/group_reads.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::server {

storage::PartialReadOf<storage::Group> ReadWatchedGroups(storage::GroupLedger& groups,
                                                         absl::Span<const WatchedGroup> watched,
                                                         absl::Duration patience) {
  const absl::Time give_up = absl::Now() + patience;
  storage::PartialReadOf<storage::Group> read{.none_answered = true};
  for (size_t i = 0; i < watched.size(); ++i) {
    absl::StatusOr<storage::GroupWithMembers> found =
        groups.GetGroup(watched[i].group_id, {.sku_id = watched[i].sku_id});
    if (found.ok()) {
      read.found.push_back(std::move(found->group));
      read.none_answered = false;
    } else if (absl::IsNotFound(found.status())) {
      read.none_answered = false;
    } else {
      read.rest = found.status();
      if (storage::LedgerIsAway(read.rest)) break;
    }
    if (absl::Now() >= give_up) {
      read.left = watched.size() - i - 1;
      break;
    }
  }
  return read;
}

WatchHubOptions OptionsOfGroupWatches(WatchHubOptions of_reservations) {
  WatchHubOptions watch = std::move(of_reservations);
  watch.max_watches_per_caller = std::min(watch.max_watches_per_caller, kMaxWatchedGroups / 2);
  watch.max_watched = kMaxWatchedGroups;
  watch.max_read = kWatchedGroupsSlice;
  // A change of a group shows within a second, also when the looks take half of it.
  watch.poll_interval = absl::Milliseconds(500);
  watch.look_for = absl::Seconds(1);
  return watch;
}

}  // namespace tranche::server
