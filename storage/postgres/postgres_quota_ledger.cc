// PostgresStockLedger's part for quota and incarnations; postgres_stock_ledger.cc has the rest.
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/postgres/answer.h"
#include "storage/postgres/array_literal.h"
#include "storage/postgres/call.h"
#include "storage/postgres/postgres_ledger.h"
#include "storage/postgres/sku_row.h"

namespace tranche::storage {
namespace {

// As a parameter.
const char* BoolOrNull(const std::optional<bool>& value) {
  if (!value.has_value()) return nullptr;
  return *value ? "true" : "false";
}

// A bigint[] without NULLs: "{1,2}".
std::vector<int64_t> ToNumbers(const pqxx::field& field) {
  absl::string_view text = TextOf(field);
  RequireOfAnswer(absl::ConsumePrefix(&text, "{") && absl::ConsumeSuffix(&text, "}"), "an array is in braces");
  std::vector<int64_t> numbers;
  for (const absl::string_view part : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    RequireOfAnswer(absl::SimpleAtoi(part, &numbers.emplace_back()), "an array holds numbers");
  }
  return numbers;
}

// The columns of read_quotas, which move_units_batch returns too.
class QuotaColumns {
 public:
  explicit QuotaColumns(const pqxx::result& rows)
      : sku_(SkuColumns(rows)),
        holders_(ColumnOf(rows, "holders")),
        allotted_(ColumnOf(rows, "allotted")),
        remaining_(ColumnOf(rows, "remaining")),
        versions_(ColumnOf(rows, "versions")) {}

  SkuQuota Read(const pqxx::row& row) const {
    SkuQuota result{sku_.Read(row), {}};
    const std::vector<int64_t> holders = ToNumbers(row[holders_]), allotted = ToNumbers(row[allotted_]),
                               remaining = ToNumbers(row[remaining_]), versions = ToNumbers(row[versions_]);
    const size_t count = holders.size();
    RequireOfAnswer(allotted.size() == count && remaining.size() == count && versions.size() == count,
                    "arrays are parallel");
    result.quota = {result.sku.sku_id, result.sku.quota_version, result.sku.closed, {}};
    result.quota.slices.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      result.quota.slices.push_back({holders[i], allotted[i], remaining[i], versions[i]});
    }
    return result;
  }

 private:
  const Columns<Sku> sku_;
  const ColumnIndex holders_, allotted_, remaining_, versions_;
};

// The answer of move_units_batch for one SKU.
absl::StatusOr<SkuQuota> ToMoved(absl::string_view outcome, const QuotaColumns& columns, const pqxx::row& row,
                                 const std::string& sku_id) {
  if (outcome == "NOT_FOUND") return NoSuchSku(sku_id);
  if (outcome == "VERSION") return absl::AbortedError(absl::StrCat("the quota of ", sku_id, " has changed meanwhile"));
  RequireOfAnswer(outcome == "MOVED", "the outcome of move_units_batch is known");
  return columns.Read(row);
}

// Rows of move_units_batch.
std::vector<absl::StatusOr<SkuQuota>> ToMoves(const pqxx::result& rows, absl::Span<const QuotaMove> moves,
                                              const std::string& shard) {
  RequireOfAnswer(rows.size() == moves.size(), "move_units_batch answers every move");
  absl::flat_hash_map<std::string, size_t> positions;
  for (size_t i = 0; i < moves.size(); ++i) positions[moves[i].sku_id] = i;
  const ColumnIndex sku = ColumnOf(rows, "sku_id"), outcome = ColumnOf(rows, "outcome");
  const QuotaColumns columns(rows);
  std::vector<absl::StatusOr<SkuQuota>> results(moves.size());
  for (const pqxx::row& row : rows) {
    const size_t i = positions.at(row[sku].c_str());
    results[i] = ToMoved(TextOf(row[outcome]), columns, row, moves[i].sku_id);
    if (results[i].ok()) results[i]->sku.shard = shard;
  }
  return results;
}

PoolTake ToPoolTake(const pqxx::result& rows, IncarnationId incarnation, const std::string& shard) {
  const pqxx::row row = rows.at(0);
  const auto number = [&](const char* name) { return row[ColumnOf(rows, name)].as<int64_t>(); };
  PoolTake take{.sku = SkuColumns(rows).Read(row),
                .ended = row[ColumnOf(rows, "ended")].as<bool>(),
                .taken = number("taken"),
                .slice = {incarnation, number("slice_allotted"), number("slice_remaining"), number("slice_version")}};
  take.sku.shard = shard;
  return take;
}

Incarnation ToIncarnation(const pqxx::row& row) {
  return Incarnation{.id = row.at(0).as<int64_t>(),
                     .node_name = row.at(1).as<std::string>(),
                     .address = row.at(2).as<std::string>(),
                     .started_at = TimeOf(row.at(3)),
                     .draining = row.at(4).as<bool>()};
}

struct MoveLiterals {
  std::string skus, expected_versions, delta_skus, holders, units;
};

MoveLiterals ToLiterals(absl::Span<const QuotaMove> moves) {
  ArrayLiteral skus, expected_versions, delta_skus, holders, units;
  int64_t nth = 0;
  for (const QuotaMove& move : moves) {
    ++nth;
    skus.AddText(move.sku_id);
    if (move.expected_quota_version.has_value()) {
      expected_versions.AddInt(*move.expected_quota_version);
    } else {
      expected_versions.AddPlain("NULL");
    }
    for (const QuotaDelta& delta : move.deltas) {
      delta_skus.AddInt(nth);
      holders.AddInt(delta.holder);
      units.AddInt(delta.units);
    }
  }
  return {std::move(skus).Finish(), std::move(expected_versions).Finish(), std::move(delta_skus).Finish(),
          std::move(holders).Finish(), std::move(units).Finish()};
}

}  // namespace

absl::StatusOr<std::vector<SkuQuota>> PostgresStockLedger::ReadQuotas(absl::Span<const std::string> sku_ids) {
  CHECK_LE(sku_ids.size(), static_cast<size_t>(kMaxQuotaBatch));
  ArrayLiteral ids;
  for (const std::string& sku_id : sku_ids) ids.AddText(sku_id);
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "read_quotas", std::move(ids).Finish()));
  return ReadAnswer(Repeat::kRead, [&] {
    const QuotaColumns columns(rows);
    std::vector<SkuQuota> quotas;
    for (const pqxx::row& row : rows) {
      quotas.push_back(columns.Read(row));
      quotas.back().sku.shard = shard_;
    }
    return quotas;
  });
}

absl::StatusOr<std::vector<absl::StatusOr<SkuQuota>>> PostgresStockLedger::MoveUnitsBatch(
    absl::Span<const QuotaMove> moves, const Actor& actor) {
  CHECK_LE(moves.size(), static_cast<size_t>(kMaxQuotaBatch));
  const MoveLiterals literals = ToLiterals(moves);
  ASSIGN_OR_RETURN(const auto rows,
                   Call(*pool_, Repeat::kNever, "move_units_batch", literals.skus, literals.expected_versions,
                        literals.delta_skus, literals.holders, literals.units, actor.ForLedger()));
  return ReadAnswer(Repeat::kNever, [&] { return ToMoves(rows, moves, shard_); });
}

// Not repeated if the answer is lost: the units may be there already, and more of them are no better.
absl::StatusOr<PoolTake> PostgresStockLedger::TakeFromPool(const PoolRequest& request) {
  ASSIGN_OR_RETURN(const auto rows,
                   Call(*pool_, Repeat::kNever, "take_from_pool", request.sku_id, request.incarnation, request.wanted));
  if (rows.empty()) return NoSuchSku(request.sku_id);
  return ReadAnswer(Repeat::kNever, [&] { return ToPoolTake(rows, request.incarnation, shard_); });
}

absl::StatusOr<std::vector<std::string>> PostgresStockLedger::ListPooledSkus(const std::string& after, int limit) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "list_pooled_skus", after, limit));
  return ReadTexts(Repeat::kRead, rows);
}

absl::StatusOr<std::vector<std::string>> PostgresStockLedger::ListReturnedSkus(const std::string& after, int limit) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "list_returned_skus", after, limit));
  return ReadTexts(Repeat::kRead, rows);
}

absl::Status PostgresStockLedger::AckReturnedSkus(absl::Span<const std::pair<std::string, int64_t>> announced) {
  ArrayLiteral skus, versions;
  for (const auto& [sku_id, version] : announced) {
    skus.AddText(sku_id);
    versions.AddInt(version);
  }
  return Call(*pool_, Repeat::kIfAnswerLost, "ack_returned_skus", std::move(skus).Finish(),
              std::move(versions).Finish())
      .status();
}

absl::StatusOr<std::vector<std::pair<std::string, HeldSlice>>> PostgresStockLedger::ListSlices(
    IncarnationId incarnation) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "list_slices", incarnation));
  return ReadAnswer(Repeat::kRead, [&] {
    std::vector<std::pair<std::string, HeldSlice>> slices;
    for (const pqxx::row& row : rows) {
      slices.emplace_back(row.at(0).as<std::string>(), HeldSlice{.holder = incarnation,
                                                                 .allotted = row.at(1).as<int64_t>(),
                                                                 .remaining = row.at(2).as<int64_t>(),
                                                                 .version = row.at(3).as<int64_t>()});
    }
    return slices;
  });
}

absl::StatusOr<IncarnationId> PostgresStockLedger::RegisterIncarnation(const std::string& node_name,
                                                                       const std::string& address, bool draining) {
  // A repeated registration leaves an incarnation that never held anything; the balancer ends it.
  ASSIGN_OR_RETURN(const auto rows,
                   Call(*pool_, Repeat::kIfAnswerLost, "register_incarnation", node_name, address, draining));
  return ReadValue<IncarnationId>(Repeat::kIfAnswerLost, rows);
}

absl::StatusOr<std::vector<Incarnation>> PostgresStockLedger::ListLiveIncarnations() {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "list_live_incarnations"));
  return ReadAnswer(Repeat::kRead, [&] {
    std::vector<Incarnation> live;
    for (const pqxx::row& row : rows) live.push_back(ToIncarnation(row));
    return live;
  });
}

absl::StatusOr<Incarnation> PostgresStockLedger::SetDraining(IncarnationId incarnation, bool draining,
                                                             const Actor& actor, const DrainTelling& telling) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kIfAnswerLost, "set_draining", incarnation, draining,
                                         actor.ForLedger(), BoolOrNull(telling.exit), BoolOrNull(telling.told_exit)));
  if (rows.empty()) return absl::NotFoundError(absl::StrCat("no live incarnation ", incarnation));
  return ReadAnswer(Repeat::kIfAnswerLost, [&] { return ToIncarnation(rows.front()); });
}

absl::StatusOr<std::vector<std::string>> PostgresStockLedger::ReclaimIncarnation(IncarnationId incarnation) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kIfAnswerLost, "reclaim_incarnation", incarnation));
  return ReadTexts(Repeat::kIfAnswerLost, rows);
}

}  // namespace tranche::storage
