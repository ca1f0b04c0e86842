#include "storage/postgres/postgres_upkeep_ledger.h"

#include <utility>

#include "storage/base/status_macros.h"
#include "storage/postgres/answer.h"
#include "storage/postgres/call.h"

namespace tranche::storage {
namespace {

// What was passed over is looked at again after so many others, even if those do not come to an end.
constexpr int64_t kExpiredPerPass = 5000;

}  // namespace

// These are not repeated after a lost answer: the repeated call would only answer about other rows.

absl::StatusOr<ExpiredHolds> PostgresUpkeepLedger::ExpireDue(int limit) {
  ExpiryPass pass;
  {
    absl::MutexLock lock(&mutex_);
    pass = pass_;
  }
  const bool begins = pass.at_id.empty();
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kNever, "expire_due", limit, OrNull(pass.at_due),
                                         OrNull(pass.at_id), begins ? OrNull(pass.wait_for) : nullptr));
  return ReadAnswer(Repeat::kNever, [&] {
    const pqxx::row row = rows.at(0);
    ExpiredHolds holds;
    holds.expired = row.at(0).as<int64_t>();
    holds.more = row.at(1).as<bool>();
    const pqxx::field next_us = row.at(2);
    holds.until_next = next_us.is_null() ? absl::InfiniteDuration() : absl::Microseconds(next_us.as<int64_t>());
    holds.locked = row.at(5).as<std::string>("");
    holds.waited_in_vain = begins && !holds.locked.empty() && holds.locked == pass.wait_for;
    GoOn(holds, row.at(3).as<std::string>(""), row.at(4).as<std::string>(""), &pass);
    absl::MutexLock lock(&mutex_);
    pass_ = std::move(pass);
    return holds;
  });
}

void PostgresUpkeepLedger::GoOn(const ExpiredHolds& holds, std::string at_due, std::string at_id, ExpiryPass* pass) {
  // Nothing expired and yet there are more: paid seats of groups may come first.
  const bool passes_over = !pass->at_id.empty() || !holds.locked.empty() || (holds.more && holds.expired == 0);
  if (!holds.locked.empty()) pass->wait_for = holds.locked;
  pass->expired += holds.expired;
  if (passes_over && holds.more && pass->expired < kExpiredPerPass) {
    pass->at_due = std::move(at_due);
    pass->at_id = std::move(at_id);
    return;
  }
  // The one that was waited for is waited for as long as there is more: others may want it all the time.
  const bool still = passes_over || holds.more;
  *pass = {.at_due = "", .at_id = "", .expired = 0, .wait_for = still ? std::move(pass->wait_for) : ""};
}

absl::StatusOr<RemindedHolds> PostgresUpkeepLedger::RemindHolds(absl::Duration within, int limit) {
  ASSIGN_OR_RETURN(const auto rows,
                   Call(*pool_, Repeat::kNever, "remind_holds", absl::ToInt64Microseconds(within), limit));
  return ReadAnswer(Repeat::kNever, [&] {
    const pqxx::row row = rows.at(0);
    return RemindedHolds{.reminded = row.at(0).as<int64_t>(), .more = row.at(1).as<bool>()};
  });
}

absl::StatusOr<int64_t> PostgresUpkeepLedger::RetireReservations(absl::Duration age, int limit, Retired retired) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kNever, "retire_reservations", absl::ToInt64Seconds(age),
                                         limit, retired == Retired::kArchive));
  return ReadValue<int64_t>(Repeat::kNever, rows);
}

absl::StatusOr<int64_t> PostgresUpkeepLedger::RetireAudit(absl::Duration age, int limit, absl::Time now) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kNever, "retire_audit", absl::ToInt64Seconds(age), limit,
                                         absl::ToUnixMicros(now)));
  return ReadValue<int64_t>(Repeat::kNever, rows);
}

}  // namespace tranche::storage
