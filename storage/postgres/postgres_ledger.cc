#include "storage/postgres/postgres_ledger.h"

#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "glog/logging.h"
#include "storage/postgres/array_literal.h"
#include "storage/postgres/call.h"

namespace tranche::storage {
namespace {

absl::string_view Text(const pqxx::field& field) { return absl::string_view(field.c_str(), field.size()); }

CommitOutcome ParseOutcome(absl::string_view text) {
  static const auto* outcomes = new absl::flat_hash_map<absl::string_view, CommitOutcome>{
      {"CREATED", CommitOutcome::kCreated},
      {"REPLAYED", CommitOutcome::kReplayed},
      {"CONFLICT", CommitOutcome::kConflict},
      {"USER_LIMIT_REACHED", CommitOutcome::kUserLimitReached},
      {"NOT_HELD", CommitOutcome::kNotHeld},
      {"SHORT", CommitOutcome::kShort},
      {"BUSY", CommitOutcome::kBusy},
      {"SKU_NOT_FOUND", CommitOutcome::kSkuNotFound},
      {"QUANTITY_ABOVE_LIMIT", CommitOutcome::kQuantityAboveLimit},
      {"NOT_OPEN", CommitOutcome::kNotOpen},
      {"CLOSED", CommitOutcome::kClosed},
      {"MOVING", CommitOutcome::kMoving},
  };
  const auto found = outcomes->find(text);
  CHECK(found != outcomes->end()) << "commit_reservations answered with outcome " << text;
  return found->second;
}

ReservationState ParseState(absl::string_view text) {
  if (text == "PENDING") return ReservationState::kPending;
  if (text == "CONFIRMED") return ReservationState::kConfirmed;
  if (text == "CANCELLED") return ReservationState::kCancelled;
  CHECK_EQ(text, "EXPIRED") << "unknown reservation state in the ledger";
  return ReservationState::kExpired;
}

struct BatchLiterals {
  std::string ids, skus, users, quantities;
};

BatchLiterals ToLiterals(absl::Span<const ReservationClaim> claims) {
  ArrayLiteral ids, skus, users, quantities;
  for (const ReservationClaim& claim : claims) {
    ids.AddPlain(claim.reservation_id.ToString());
    skus.AddText(claim.sku_id);
    users.AddText(claim.user_id);
    quantities.AddInt(claim.quantity);
  }
  return {std::move(ids).Finish(), std::move(skus).Finish(), std::move(users).Finish(), std::move(quantities).Finish()};
}

CommitResult ToCommitResult(const pqxx::row& row, const ReservationClaim& claim) {
  CommitResult result;
  result.outcome = ParseOutcome(Text(row[1]));
  if (result.outcome == CommitOutcome::kShort) result.slice_version = row[8].as<int64_t>();
  if (result.outcome != CommitOutcome::kCreated && result.outcome != CommitOutcome::kReplayed) return result;
  Reservation& reservation = result.reservation;
  reservation.reservation_id = claim.reservation_id;
  reservation.sku_id = claim.sku_id;
  reservation.user_id = claim.user_id;
  reservation.quantity = claim.quantity;
  reservation.state = ParseState(Text(row[2]));
  reservation.amount_minor = row[3].as<int64_t>();
  reservation.currency = row[4].c_str();
  result.committed_by = row[5].as<int64_t>();
  reservation.created_at = absl::FromUnixMicros(row[6].as<int64_t>());
  reservation.expires_at = absl::FromUnixMicros(row[7].as<int64_t>());
  return result;
}

}  // namespace

absl::StatusOr<std::vector<CommitResult>> PostgresLedger::CommitReservations(
    IncarnationId incarnation, LockMode mode, absl::Span<const ReservationClaim> claims) {
  CHECK_LE(claims.size(), static_cast<size_t>(kMaxBatch));
  const BatchLiterals literals = ToLiterals(claims);
  const auto rows = CallOnce(*pool_, "commit_reservations", incarnation, mode == LockMode::kWait, literals.ids,
                             literals.skus, literals.users, literals.quantities);
  if (!rows.ok()) return rows.status();
  CHECK_EQ(rows->size(), claims.size()) << "commit_reservations answers every claim";
  std::vector<CommitResult> results(claims.size());
  for (const pqxx::row& row : *rows) {
    const size_t index = row[0].as<size_t>() - 1;
    CHECK_LT(index, claims.size());
    results[index] = ToCommitResult(row, claims[index]);
  }
  return results;
}

absl::StatusOr<CommitResult> PostgresLedger::FindReservation(const Uuid& reservation_id) {
  ArrayLiteral ids;
  ids.AddPlain(reservation_id.ToString());
  const auto rows = Call(*pool_, Repeat::kIfAnswerLost, "find_reservations", std::move(ids).Finish());
  if (!rows.ok()) return rows.status();
  if (rows->empty()) return absl::NotFoundError("no such reservation");
  const pqxx::row row = rows->front();
  CommitResult result;
  result.outcome = CommitOutcome::kReplayed;
  result.committed_by = row[7].as<int64_t>();
  result.reservation = Reservation{.reservation_id = reservation_id,
                                   .sku_id = row[1].c_str(),
                                   .user_id = row[2].c_str(),
                                   .quantity = row[3].as<int32_t>(),
                                   .state = ParseState(Text(row[4])),
                                   .amount_minor = row[5].as<int64_t>(),
                                   .currency = row[6].c_str(),
                                   .created_at = absl::FromUnixMicros(row[8].as<int64_t>()),
                                   .expires_at = absl::FromUnixMicros(row[9].as<int64_t>())};
  return result;
}

absl::StatusOr<std::vector<Uuid>> PostgresLedger::FindExisting(absl::Span<const Uuid> reservation_ids) {
  ArrayLiteral ids;
  for (const Uuid& id : reservation_ids) ids.AddPlain(id.ToString());
  const auto rows = Call(*pool_, Repeat::kIfAnswerLost, "find_reservations", std::move(ids).Finish());
  if (!rows.ok()) return rows.status();
  std::vector<Uuid> existing;
  for (const pqxx::row& row : *rows) existing.push_back(*Uuid::Parse(Text(row[0])));
  return existing;
}

}  // namespace tranche::storage
