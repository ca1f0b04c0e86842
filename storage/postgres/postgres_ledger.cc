#include "storage/postgres/postgres_ledger.h"

#include <algorithm>
#include <tuple>

#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/postgres/answer.h"
#include "storage/postgres/call.h"
#include "storage/postgres/commit_row.h"
#include "storage/postgres/reservation_row.h"

namespace tranche::storage {
namespace {

// Of claims none of which has a group.
constexpr const char* kNoGroups = "{}";

// The second parameter of commit_reservations and join_groups, p_wait, for modes that leave lock_timeout as it is.
const char* WaitOf(LockMode mode) {
  switch (mode) {
    case LockMode::kSkipLocked:
      return "false";
    case LockMode::kWait:
      return "true";
    case LockMode::kNoWait:
      return nullptr;
    case LockMode::kWaitBriefly:
      break;
  }
  LOG(FATAL) << "no such p_wait";
}

}  // namespace

absl::StatusOr<std::vector<CommitResult>> PostgresLedger::CommitReservations(
    IncarnationId incarnation, LockMode mode, absl::Span<const ReservationClaim> claims) {
  CHECK_LE(claims.size(), static_cast<size_t>(kMaxBatch));
  const auto send = [&](const char* procedure, const auto&... literals) {
    if (mode == LockMode::kWaitBriefly) {
      return CallOnceWaiting(*pool_, /*p_wait=*/2, procedure, incarnation, BriefLockTimeout(), literals...);
    }
    return CallOnce(*pool_, procedure, incarnation, WaitOf(mode), literals...);
  };
  const bool joins =
      std::any_of(claims.begin(), claims.end(), [](const auto& claim) { return claim.group != nullptr; });
  const auto rows = std::apply(
      [&](const auto&... literals) {
        if (!joins) return send("commit_reservations", literals..., kNoGroups);
        const auto& [groups, offers] = ToGroupLiterals(claims);
        return send("join_groups", literals..., groups, offers);
      },
      ToLiterals(claims));
  if (!rows.ok()) return rows.status();
  return ReadAnswer(Repeat::kNever, [&] { return ToCommitResults(*rows, claims); });
}

absl::StatusOr<Reservation> PostgresLedger::FindReservation(const Uuid& reservation_id) {
  const std::string ids = ToLiteral(absl::MakeConstSpan(&reservation_id, 1));
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "find_reservations", ids));
  if (rows.empty()) return absl::NotFoundError("no such reservation");
  return ReadAnswer(Repeat::kRead, [&] { return ToReservations(rows).front(); });
}

absl::StatusOr<std::vector<Reservation>> PostgresLedger::FindReplicated(absl::Span<const Uuid> reservation_ids) {
  CHECK_LE(reservation_ids.size(), static_cast<size_t>(kMaxBatch));
  const std::string ids = ToLiteral(reservation_ids);
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "find_replicated", ids));
  return ReadAnswer(Repeat::kRead, [&] { return ToReservations(rows); });
}

}  // namespace tranche::storage
