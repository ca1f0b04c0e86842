#include "storage/postgres/postgres_upkeep_ledger.h"

#include "storage/base/status_macros.h"
#include "storage/postgres/call.h"

namespace tranche::storage {

// These are not repeated after a lost answer: the repeated call would only answer about other rows.

absl::StatusOr<ExpiredHolds> PostgresUpkeepLedger::ExpireDue(int limit) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kNever, "expire_due", limit));
  const pqxx::row row = rows.front();
  ExpiredHolds holds;
  holds.expired = row[0].as<int64_t>();
  holds.more = row[1].as<bool>();
  holds.until_next = row[2].is_null() ? absl::InfiniteDuration() : absl::Microseconds(row[2].as<int64_t>());
  return holds;
}

absl::StatusOr<int64_t> PostgresUpkeepLedger::RetireReservations(absl::Duration age, int limit, Retired retired) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kNever, "retire_reservations", absl::ToInt64Seconds(age),
                                         limit, retired == Retired::kArchive));
  return rows.front()[0].as<int64_t>();
}

}  // namespace tranche::storage
