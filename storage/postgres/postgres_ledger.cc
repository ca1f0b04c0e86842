#include "storage/postgres/postgres_ledger.h"

#include "glog/logging.h"
#include "storage/postgres/call.h"
#include "storage/postgres/commit_row.h"
#include "storage/postgres/reservation_row.h"

namespace tranche::storage {

absl::StatusOr<std::vector<CommitResult>> PostgresLedger::CommitReservations(
    IncarnationId incarnation, LockMode mode, absl::Span<const ReservationClaim> claims) {
  CHECK_LE(claims.size(), static_cast<size_t>(kMaxBatch));
  const ClaimLiterals literals = ToLiterals(claims);
  const auto rows = CallOnce(*pool_, "commit_reservations", incarnation, mode == LockMode::kWait, literals.ids,
                             literals.skus, literals.users, literals.quantities);
  if (!rows.ok()) return rows.status();
  CHECK_EQ(rows->size(), claims.size()) << "commit_reservations answers every claim";
  std::vector<CommitResult> results(claims.size());
  for (const pqxx::row& row : *rows) {
    const size_t index = row[0].as<size_t>() - 1;
    CHECK_LT(index, claims.size());
    results[index] = ToCommitResult(row, 0, claims[index]);
  }
  return results;
}

absl::StatusOr<CommitResult> PostgresLedger::FindReservation(const Uuid& reservation_id) {
  const std::string ids = ToLiteral(absl::MakeConstSpan(&reservation_id, 1));
  const auto rows = Call(*pool_, Repeat::kRead, "find_reservations", ids);
  if (!rows.ok()) return rows.status();
  if (rows->empty()) return absl::NotFoundError("no such reservation");
  CommitResult result;
  result.outcome = CommitOutcome::kReplayed;
  result.reservation = ToReservation(rows->front());
  return result;
}

}  // namespace tranche::storage
