#include "storage/postgres/postgres_upkeep_ledger.h"

#include "storage/base/status_macros.h"
#include "storage/postgres/answer.h"
#include "storage/postgres/call.h"

namespace tranche::storage {

// These are not repeated after a lost answer: the repeated call would only answer about other rows.

absl::StatusOr<ExpiredHolds> PostgresUpkeepLedger::ExpireDue(int limit) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kNever, "expire_due", limit));
  return ReadAnswer(Repeat::kNever, [&] {
    const pqxx::row row = rows.at(0);
    ExpiredHolds holds;
    holds.expired = row.at(0).as<int64_t>();
    holds.more = row.at(1).as<bool>();
    const pqxx::field next_us = row.at(2);
    holds.until_next = next_us.is_null() ? absl::InfiniteDuration() : absl::Microseconds(next_us.as<int64_t>());
    return holds;
  });
}

absl::StatusOr<int64_t> PostgresUpkeepLedger::RetireReservations(absl::Duration age, int limit, Retired retired) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kNever, "retire_reservations", absl::ToInt64Seconds(age),
                                         limit, retired == Retired::kArchive));
  return ReadValue<int64_t>(Repeat::kNever, rows);
}

}  // namespace tranche::storage
