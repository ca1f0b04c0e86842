#include "storage/postgres/commit_row.h"

#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "glog/logging.h"
#include "storage/postgres/array_literal.h"
#include "storage/postgres/reservation_row.h"

namespace tranche::storage {
namespace {

CommitOutcome ParseCommitOutcome(absl::string_view text) {
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

}  // namespace

ClaimLiterals ToLiterals(absl::Span<const ReservationClaim> claims) {
  ArrayLiteral ids, skus, users, quantities;
  for (const ReservationClaim& claim : claims) {
    ids.AddPlain(claim.reservation_id.ToString());
    skus.AddText(claim.sku_id);
    users.AddText(claim.user_id);
    quantities.AddInt(claim.quantity);
  }
  return {std::move(ids).Finish(), std::move(skus).Finish(), std::move(users).Finish(), std::move(quantities).Finish()};
}

CommitResult ToCommitResult(const pqxx::row& row, int first, const ReservationClaim& claim) {
  const auto at = [&row, first](int column) { return row[static_cast<pqxx::row::size_type>(first + column)]; };
  CommitResult result;
  result.outcome = ParseCommitOutcome(TextOf(at(1)));
  if (result.outcome == CommitOutcome::kShort) result.slice_version = at(8).as<int64_t>();
  const bool exists = result.outcome == CommitOutcome::kCreated || result.outcome == CommitOutcome::kReplayed;
  // A line of a cart that was not committed would have been created, and was not.
  if (!exists || at(2).is_null()) return result;
  Reservation& reservation = result.reservation;
  reservation.reservation_id = claim.reservation_id;
  reservation.sku_id = claim.sku_id;
  reservation.user_id = claim.user_id;
  reservation.quantity = claim.quantity;
  reservation.state = ToReservationState(TextOf(at(2)));
  reservation.amount_minor = at(3).as<int64_t>();
  reservation.currency = at(4).c_str();
  reservation.created_at = absl::FromUnixMicros(at(6).as<int64_t>());
  reservation.expires_at = absl::FromUnixMicros(at(7).as<int64_t>());
  if (result.outcome == CommitOutcome::kReplayed) FillFate(row, first + 9, &reservation);
  return result;
}

}  // namespace tranche::storage
