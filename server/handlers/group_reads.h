// Reads of groups for those who watch them.
#pragma once

#include <cstddef>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/handlers/watch_hub.h"
#include "server/handlers/watched_group.h"
#include "storage/ledger/group_ledger.h"
#include "storage/ledger/partial_read.h"

namespace tranche::server {

// Groups are read one after the other. So many take about half of the second within which a change is to show.
inline constexpr size_t kMaxWatchedGroups = 1000;
// So many are read before what they tell is told.
inline constexpr size_t kWatchedGroupsSlice = 50;
inline constexpr absl::Duration kWatchReadPatience = absl::Milliseconds(250);

// Those of the groups that exist, without their members. When `patience` is over, no other is asked for; one always is.
// After a failure the others are still asked for: they are in the ledger of another shard, perhaps. Blocks.
storage::PartialReadOf<storage::Group> ReadWatchedGroups(storage::GroupLedger& groups,
                                                         absl::Span<const WatchedGroup> watched,
                                                         absl::Duration patience = kWatchReadPatience);

// As watches of reservations, within what reads of groups bear. No caller may watch more than half of the groups that a
// node watches: others find room beside whoever watches all that there are.
WatchHubOptions OptionsOfGroupWatches(WatchHubOptions of_reservations);

}  // namespace tranche::server
