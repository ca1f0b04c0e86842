#include "storage/postgres/commit_row.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "storage/ledger/claim_refusal.h"
#include "storage/postgres/answer.h"
#include "storage/postgres/array_literal.h"
#include "storage/postgres/reservation_row.h"

namespace tranche::storage {
namespace {

struct CommitWord {
  absl::string_view word;
  CommitOutcome outcome;
};
// Every other word of commit_reservations and join_groups is a refusal's.
constexpr CommitWord kCommitWords[] = {
    {"CREATED", CommitOutcome::kCreated}, {"REPLAYED", CommitOutcome::kReplayed}, {"NOT_HELD", CommitOutcome::kNotHeld},
    {"SHORT", CommitOutcome::kShort},     {"BUSY", CommitOutcome::kBusy},
};

CommitResult CommitOf(absl::string_view word) {
  for (const CommitWord& known : kCommitWords) {
    if (known.word == word) return {.outcome = known.outcome, .reservation = {}};
  }
  return RefusedClaim(RefusalOfProcedure(word));
}

// The columns of claim_answer.
class ClaimColumns {
 public:
  explicit ClaimColumns(const pqxx::result& rows)
      : index_(ColumnOf(rows, "idx")),
        outcome_(ColumnOf(rows, "outcome")),
        state_(ColumnOf(rows, "state")),
        slice_version_(ColumnOf(rows, "slice_version")),
        cancel_reason_(ColumnOf(rows, "cancel_reason")),
        reservation_(ReservationColumns(rows)) {}

  size_t IndexOf(const pqxx::row& row) const { return row[index_].as<size_t>() - 1; }

  // The answer does not repeat the claim's fields.
  CommitResult Read(const pqxx::row& row, const ReservationClaim& claim) const {
    CommitResult result = CommitOf(TextOf(row[outcome_]));
    // A word of its own would be a refusal to servers of before.
    const bool busy_join = result.outcome == CommitOutcome::kBusy && claim.group != nullptr;
    if (busy_join && row[cancel_reason_].as<std::string>("") == "batch") result.outcome = CommitOutcome::kDepends;
    if (result.outcome == CommitOutcome::kShort) result.slice_version = row[slice_version_].as<int64_t>();
    if (result.refusal == Refusal::kSalePaused) result.pause_reason = row[cancel_reason_].as<std::string>("");
    if (result.refusal == Refusal::kTooManyGroups) result.about = row[cancel_reason_].as<std::string>("");
    const bool exists = result.outcome == CommitOutcome::kCreated || result.outcome == CommitOutcome::kReplayed;
    // Such a line would have been created, but its cart was not committed.
    if (!exists || row[state_].is_null()) return result;
    result.reservation.reservation_id = claim.reservation_id;
    result.reservation.sku_id = claim.sku_id;
    result.reservation.user_id = claim.user_id;
    result.reservation.quantity = claim.quantity;
    result.reservation.order_reference = claim.order_reference;
    reservation_.Read(row, &result.reservation);
    if (!RefusalOf(result.reservation).has_value()) result.reservation.group_id = GroupOfClaim(claim);
    return result;
  }

 private:
  const ColumnIndex index_, outcome_, state_, slice_version_, cancel_reason_;
  const Columns<Reservation> reservation_;
};

}  // namespace

ClaimLiterals ToLiterals(absl::Span<const ReservationClaim> claims) {
  ArrayLiteral ids, skus, users, quantities, references;
  const bool none =
      std::all_of(claims.begin(), claims.end(), [](const auto& claim) { return claim.order_reference.empty(); });
  for (const ReservationClaim& claim : claims) {
    ids.AddPlain(claim.reservation_id.ToString());
    skus.AddText(claim.sku_id);
    users.AddText(claim.user_id);
    quantities.AddInt(claim.quantity);
    if (!none) references.AddText(claim.order_reference);
  }
  return {std::move(ids).Finish(), std::move(skus).Finish(), std::move(users).Finish(), std::move(quantities).Finish(),
          std::move(references).Finish()};
}

GroupLiterals ToGroupLiterals(absl::Span<const ReservationClaim> claims) {
  ArrayLiteral groups, offers;
  for (const ReservationClaim& claim : claims) {
    if (claim.group == nullptr) {
      groups.AddPlain("NULL");
      offers.AddPlain("NULL");
    } else {
      groups.AddPlain(claim.group->group_id.ToString());
      offers.AddText(claim.group->offer_id);
    }
  }
  return {std::move(groups).Finish(), std::move(offers).Finish()};
}

std::vector<CommitResult> ToCommitResults(const pqxx::result& rows, absl::Span<const ReservationClaim> claims) {
  RequireOfAnswer(rows.size() == claims.size(), "every claim is answered");
  const ClaimColumns columns(rows);
  std::vector<CommitResult> results(claims.size());
  for (const pqxx::row& row : rows) {
    const size_t index = columns.IndexOf(row);
    RequireOfAnswer(index < claims.size(), "an answer is about one of the claims");
    results[index] = columns.Read(row, claims[index]);
  }
  return results;
}

}  // namespace tranche::storage
