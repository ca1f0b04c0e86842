// Work on the ledger that has to be done from time to time, by any number of workers side by side.
//
// Threads, blocking and errors are those of every ledger: storage/ledger/README.md.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tranche::storage {

struct ExpiredHolds {
  int64_t expired = 0;
  // More holds are due, beyond `limit`: call again.
  bool more = false;
  // Until the next hold lapses; InfiniteDuration when there is none. By the database's clock.
  absl::Duration until_next;
  // A SKU of which holds are due and were passed over, because another transaction has locked its row or its pool; ""
  // if there is none.
  std::string locked = {};
  // The call has waited for that one for a moment, in vain. Other workers and sales have it for shorter than that.
  bool waited_in_vain = false;
};

struct RemindedHolds {
  int64_t reminded = 0;
  // There may be more, beyond `limit`: call again.
  bool more = false;
};

enum class Retired { kArchive, kDrop };

class UpkeepLedger {
 public:
  virtual ~UpkeepLedger() = default;

  // Expires up to `limit` unpaid holds whose time is over by the database's clock; their units go to the pools. A SKU
  // that is locked holds up its own holds only: they are passed over, and later calls come back to them.
  virtual absl::StatusOr<ExpiredHolds> ExpireDue(int limit) = 0;

  // Writes a message reservation.lapses_soon about unpaid holds that lapse within `within`, by the database's clock;
  // goes through `limit` of them, the next to lapse first. Each end of a hold is told of once, whoever asks: an
  // extended hold is told of again before its new end. Not told of are holds that last no longer than `within` in all,
  // and those that another transaction has locked just then. `within`: at least a microsecond.
  virtual absl::StatusOr<RemindedHolds> RemindHolds(absl::Duration within, int limit) = 0;

  // Takes up to `limit` reservations out of the live tables: cancelled and expired ones that ended longer than `age`
  // ago, and equally old confirmed ones of SKUs whose sale is over. `age` is at least kLeastRetention, because a
  // reservation id is an idempotency key only while its row exists. Returns how many.
  virtual absl::StatusOr<int64_t> RetireReservations(absl::Duration age, int limit, Retired retired) = 0;

  // Deletes up to `limit` entries of the audit log that are older than `age`, at least kLeastRetention: by the
  // database's clock and by `now`, the caller's, so that a clock that is ahead deletes nothing too soon. Returns how
  // many.
  virtual absl::StatusOr<int64_t> RetireAudit(absl::Duration age, int limit, absl::Time now) = 0;
};

inline constexpr absl::Duration kLeastRetention = absl::Hours(24);

}  // namespace tranche::storage
