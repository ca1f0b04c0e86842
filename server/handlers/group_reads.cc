#include "server/handlers/group_reads.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::server {
namespace {

// Of all reads together, once one has failed.
constexpr absl::Duration kWatchReadPatience = absl::Seconds(1);

}  // namespace

storage::PartialReadOf<storage::Group> ReadWatchedGroups(storage::GroupLedger& groups,
                                                         absl::Span<const storage::Uuid> ids) {
  const absl::Time give_up = absl::Now() + kWatchReadPatience;
  storage::PartialReadOf<storage::Group> read{.none_answered = true};
  for (const storage::Uuid& id : ids) {
    absl::StatusOr<storage::GroupWithMembers> found = groups.GetGroup(id);
    if (found.ok()) {
      read.found.push_back(std::move(found->group));
      read.none_answered = false;
    } else if (absl::IsNotFound(found.status())) {
      read.none_answered = false;
    } else {
      read.rest = found.status();
      if (storage::LedgerIsAway(read.rest) || absl::Now() >= give_up) break;
    }
  }
  return read;
}

}  // namespace tranche::server
