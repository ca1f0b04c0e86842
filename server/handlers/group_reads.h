// Reads of groups for those who watch them.
#pragma once

#include <cstddef>

#include "absl/types/span.h"
#include "storage/ledger/group_ledger.h"
#include "storage/ledger/partial_read.h"
#include "storage/uuid.h"

namespace tranche::server {

// Groups are read one after the other. So many take about half of the second within which a change is to show.
inline constexpr size_t kMaxWatchedGroups = 1000;

// Those of the groups that exist, of at most kMaxWatchedGroups. After a failure the others are still asked for, unless
// that would take long: they are in the ledger of another shard, perhaps. Blocks.
storage::PartialReadOf<storage::Group> ReadWatchedGroups(storage::GroupLedger& groups,
                                                         absl::Span<const storage::Uuid> ids);

}  // namespace tranche::server
