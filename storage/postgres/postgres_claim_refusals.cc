// PostgresLifecycleLedger's part for claims that are refused for good.
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/postgres/answer.h"
#include "storage/postgres/array_literal.h"
#include "storage/postgres/call.h"
#include "storage/postgres/commit_row.h"
#include "storage/postgres/postgres_lifecycle_ledger.h"
#include "storage/postgres/reservation_row.h"

namespace tranche::storage {
namespace {

struct RefuseWord {
  absl::string_view word;
  RefuseOutcome outcome;
};
constexpr RefuseWord kRefuseWords[] = {
    {"REFUSED", RefuseOutcome::kRefused},
    {"REPLAYED", RefuseOutcome::kReplayed},
    {"SOLD", RefuseOutcome::kSold},
    {"CONFLICT", RefuseOutcome::kConflict},
    {"SKU_NOT_FOUND", RefuseOutcome::kSkuNotFound},
    {"MOVING", RefuseOutcome::kSkuMoving},
};

RefuseOutcome ToRefuseOutcome(absl::string_view word) {
  for (const RefuseWord& known : kRefuseWords) {
    if (known.word == word) return known.outcome;
  }
  throw UnreadableAnswer(absl::StrCat("unknown outcome of refuse_claims: ", word));
}

// Rows of change_answer.
std::vector<RefuseResult> ToRefuseResults(const pqxx::result& rows, size_t batch_size) {
  RequireOfAnswer(rows.size() == batch_size, "every refusal of a batch is answered");
  const ColumnIndex idx = ColumnOf(rows, "idx"), outcome = ColumnOf(rows, "outcome");
  const Columns<Reservation> reservation = ReservationColumns(rows);
  std::vector<RefuseResult> results(batch_size);
  for (const pqxx::row& row : rows) {
    const size_t index = row[idx].as<size_t>() - 1;
    RequireOfAnswer(index < batch_size, "an answer is about one of the refusals");
    results[index].outcome = ToRefuseOutcome(TextOf(row[outcome]));
    reservation.Read(row, &results[index].reservation);
  }
  return results;
}

}  // namespace

absl::StatusOr<std::vector<RefuseResult>> PostgresLifecycleLedger::RefuseClaims(absl::Span<const ClaimRefusal> batch) {
  CHECK_LE(batch.size(), static_cast<size_t>(kMaxBatch));
  std::vector<ReservationClaim> claims;
  claims.reserve(batch.size());
  ArrayLiteral names;
  for (const ClaimRefusal& one : batch) {
    claims.push_back(one.claim);
    names.AddPlain(NameOfRefusal(one.refusal));
  }
  const std::string reasons = std::move(names).Finish();
  const std::string groups = ToGroupLiterals(claims).front();
  const auto rows = std::apply(
      [&](const auto&... literals) {
        return Call(*pool_, Repeat::kIfAnswerLost, "refuse_claims", literals..., reasons, groups);
      },
      ToLiterals(claims));
  if (!rows.ok()) return rows.status();
  return ReadAnswer(Repeat::kIfAnswerLost, [&] { return ToRefuseResults(*rows, batch.size()); });
}

}  // namespace tranche::storage
