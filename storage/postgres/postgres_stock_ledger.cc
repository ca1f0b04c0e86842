#include <limits>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "storage/base/status_macros.h"
#include "storage/postgres/answer.h"
#include "storage/postgres/call.h"
#include "storage/postgres/postgres_ledger.h"
#include "storage/postgres/sku_row.h"

namespace tranche::storage {
namespace {

std::optional<int64_t> FiniteMicros(absl::Time time) {
  if (time == absl::InfinitePast() || time == absl::InfiniteFuture()) return std::nullopt;
  return absl::ToUnixMicros(time);
}

// nullopt: none.
std::optional<int64_t> WholeSeconds(absl::Duration duration) {
  const int64_t seconds = absl::ToInt64Seconds(duration);
  return seconds == 0 ? std::nullopt : std::make_optional(seconds);
}

}  // namespace

Sku PostgresStockLedger::AtShard(Sku sku) const {
  sku.shard = shard_;
  return sku;
}

absl::StatusOr<Sku> PostgresStockLedger::CreateSku(const Sku& sku, const Actor& actor) {
  const NullableNumber opens(FiniteMicros(sku.opens_at));
  const NullableNumber closes(FiniteMicros(sku.closes_at));
  const NullableNumber max_hold(WholeSeconds(sku.max_hold));
  ASSIGN_OR_RETURN(const auto rows,
                   Call(*pool_, Repeat::kNever, "create_sku", sku.sku_id, sku.title, sku.price_minor, sku.currency,
                        sku.stock, sku.per_user_limit, absl::ToInt64Seconds(sku.hold), opens.parameter(),
                        closes.parameter(), sku.slots_per_slice, actor.ForLedger(), sku.presplit, sku.max_extensions,
                        max_hold.parameter(), sku.paused, sku.pause_reason, ClaimPathName(sku.claim_path)));
  ASSIGN_OR_RETURN(const bool created, ReadValue<bool>(Repeat::kNever, rows));
  if (!created) return absl::AlreadyExistsError(absl::StrCat("SKU ", sku.sku_id, " exists"));
  return GetSku(sku.sku_id);
}

absl::StatusOr<Sku> PostgresStockLedger::GetSku(const std::string& sku_id) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "list_skus", "", 1, sku_id));
  if (rows.empty()) return NoSuchSku(sku_id);
  return ReadAnswer(Repeat::kRead, [&] { return AtShard(SkuColumns(rows).Read(rows.front())); });
}

absl::StatusOr<std::vector<Sku>> PostgresStockLedger::ListSkus(const std::string& after, int limit) {
  const char* const every = nullptr;
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "list_skus", after, limit, every));
  return ReadAnswer(Repeat::kRead, [&] {
    const Columns<Sku> columns = SkuColumns(rows);
    std::vector<Sku> skus;
    for (const pqxx::row& row : rows) skus.push_back(AtShard(columns.Read(row)));
    return skus;
  });
}

absl::StatusOr<Sku> PostgresStockLedger::CloseSku(const std::string& sku_id, const Actor& actor) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kIfAnswerLost, "close_sku", sku_id, actor.ForLedger()));
  ASSIGN_OR_RETURN(const bool known, ReadValue<bool>(Repeat::kIfAnswerLost, rows));
  if (!known) return NoSuchSku(sku_id);
  return GetSku(sku_id);
}

absl::StatusOr<Sku> PostgresStockLedger::ReopenSku(const std::string& sku_id, const Actor& actor) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kIfAnswerLost, "reopen_sku", sku_id, actor.ForLedger()));
  ASSIGN_OR_RETURN(const bool known, ReadValue<bool>(Repeat::kIfAnswerLost, rows));
  if (!known) return NoSuchSku(sku_id);
  return GetSku(sku_id);
}

absl::StatusOr<Sku> PostgresStockLedger::SetSkuPaused(const std::string& sku_id, bool paused, const std::string& reason,
                                                      std::optional<int64_t> expected_terms_version,
                                                      const Actor& actor) {
  const NullableNumber expected(expected_terms_version);
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kIfAnswerLost, "set_sku_paused", sku_id, paused, reason,
                                         actor.ForLedger(), expected.parameter()));
  ASSIGN_OR_RETURN(const bool known, ReadValue<bool>(Repeat::kIfAnswerLost, rows));
  if (!known) return NoSuchSku(sku_id);
  return GetSku(sku_id);
}

absl::StatusOr<Sku> PostgresStockLedger::UpdateSku(const Sku& sku, const Actor& actor) {
  const NullableNumber opens(FiniteMicros(sku.opens_at));
  const NullableNumber closes(FiniteMicros(sku.closes_at));
  const NullableNumber max_hold(WholeSeconds(sku.max_hold));
  ASSIGN_OR_RETURN(
      const auto rows,
      Call(*pool_, Repeat::kIfAnswerLost, "update_sku", sku.sku_id, sku.terms_version, sku.title, sku.price_minor,
           sku.per_user_limit, absl::ToInt64Seconds(sku.hold), sku.max_extensions, max_hold.parameter(),
           opens.parameter(), closes.parameter(), sku.presplit, actor.ForLedger(), ClaimPathName(sku.claim_path)));
  ASSIGN_OR_RETURN(const bool known, ReadValue<bool>(Repeat::kIfAnswerLost, rows));
  if (!known) return NoSuchSku(sku.sku_id);
  return GetSku(sku.sku_id);
}

absl::StatusOr<Sku> PostgresStockLedger::AddStock(const std::string& sku_id, int64_t units,
                                                  std::optional<int64_t> expected_stock, const Actor& actor) {
  const NullableNumber expected(expected_stock);
  ASSIGN_OR_RETURN(const auto rows,
                   Call(*pool_, Repeat::kNever, "add_stock", sku_id, units, actor.ForLedger(), expected.parameter()));
  ASSIGN_OR_RETURN(const bool known, ReadValue<bool>(Repeat::kNever, rows));
  if (!known) return NoSuchSku(sku_id);
  return ReadChanged(sku_id);
}

// Reads the SKU after a change that must not be repeated: even if it cannot be read, the change is made.
absl::StatusOr<Sku> PostgresStockLedger::ReadChanged(const std::string& sku_id) {
  absl::StatusOr<Sku> sku = GetSku(sku_id);
  if (sku.ok()) return sku;
  return UnknownCommitError(absl::StrCat("the change was made, but not read back: ", sku.status().message()));
}

absl::StatusOr<ReducedStock> PostgresStockLedger::ReduceStock(const std::string& sku_id, int64_t units,
                                                              std::optional<int64_t> expected_stock,
                                                              const Actor& actor) {
  const NullableNumber expected(expected_stock);
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kNever, "reduce_stock", sku_id, units, actor.ForLedger(),
                                         expected.parameter()));
  // NULL: there is no such SKU.
  ASSIGN_OR_RETURN(const auto reduced, ReadAnswer(Repeat::kNever, [&] {
                     const pqxx::field units = rows.at(0).at(0);
                     return units.is_null() ? std::nullopt : std::make_optional(units.as<int64_t>());
                   }));
  if (!reduced.has_value()) return NoSuchSku(sku_id);
  ASSIGN_OR_RETURN(auto sku, ReadChanged(sku_id));
  return ReducedStock{std::move(sku), *reduced};
}

absl::StatusOr<Sku> PostgresStockLedger::SetQuotaFrozen(const std::string& sku_id, bool frozen, const Actor& actor) {
  ASSIGN_OR_RETURN(const auto rows,
                   Call(*pool_, Repeat::kIfAnswerLost, "set_quota_frozen", sku_id, frozen, actor.ForLedger()));
  ASSIGN_OR_RETURN(const bool known, ReadValue<bool>(Repeat::kIfAnswerLost, rows));
  if (!known) return NoSuchSku(sku_id);
  return GetSku(sku_id);
}

absl::StatusOr<Sku> PostgresStockLedger::RaiseVersion(const std::string& sku_id, int64_t above, const Actor& actor) {
  ASSIGN_OR_RETURN(const auto rows,
                   Call(*pool_, Repeat::kIfAnswerLost, "raise_version", sku_id, above, actor.ForLedger()));
  ASSIGN_OR_RETURN(const bool known, ReadValue<bool>(Repeat::kIfAnswerLost, rows));
  if (!known) return NoSuchSku(sku_id);
  return GetSku(sku_id);
}

absl::StatusOr<LedgerMark> PostgresStockLedger::Mark(const std::optional<LedgerMark>& earlier) {
  ASSIGN_OR_RETURN(const auto rows, earlier.has_value() ? Call(*pool_, Repeat::kIfAnswerLost, "mark_ledger_after",
                                                               earlier->line, earlier->count)
                                                        : Call(*pool_, Repeat::kIfAnswerLost, "mark_ledger"));
  return ReadAnswer(Repeat::kIfAnswerLost, [&] {
    const pqxx::row row = rows.at(0);
    return LedgerMark{.line = row.at(0).as<std::string>(), .count = row.at(1).as<int64_t>()};
  });
}

absl::StatusOr<IncarnationId> PostgresStockLedger::BeginHistory(IncarnationId above, const Actor& actor) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kIfAnswerLost, "begin_history", above, actor.ForLedger()));
  return ReadValue<int64_t>(Repeat::kIfAnswerLost, rows);
}

absl::Status PostgresStockLedger::SetClusterFrozen(bool frozen, const Actor& actor) {
  return Call(*pool_, Repeat::kIfAnswerLost, "set_cluster_frozen", frozen, actor.ForLedger()).status();
}

absl::Status PostgresStockLedger::SetClaimsPaused(bool paused, const Actor& actor) {
  return Call(*pool_, Repeat::kIfAnswerLost, "set_claim_queues_paused", paused, actor.ForLedger()).status();
}

absl::StatusOr<ClusterSettings> PostgresStockLedger::ReadClusterSettings() {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kRead, "read_cluster_settings"));
  return ReadAnswer(Repeat::kRead, [&] {
    const pqxx::row row = rows.at(0);
    ClusterSettings settings{.frozen = row.at(0).as<bool>(),
                             .changed_by = row.at(2).as<std::string>(""),
                             .claims_paused = row.at(3).as<bool>()};
    if (!row.at(1).is_null()) settings.changed_at = TimeOf(row.at(1));
    return settings;
  });
}

absl::StatusOr<VerifyReport> PostgresStockLedger::Verify(const std::string& sku_id) {
  return ReadVerified(sku_id, "", std::numeric_limits<int>::max());
}

absl::StatusOr<VerifyReport> PostgresStockLedger::VerifyPage(const VerifyPosition& after, int max_skus) {
  return ReadVerified("", after.sku_id, max_skus);
}

absl::StatusOr<VerifyReport> PostgresStockLedger::ReadVerified(const std::string& sku_id, const std::string& after,
                                                               int max_skus) {
  ASSIGN_OR_RETURN(const auto rows, Call(*verify_pool_, Repeat::kRead, "verify_page", sku_id, after, max_skus));
  return ReadAnswer(Repeat::kRead, [&] {
    VerifyReport report;
    for (const pqxx::row& row : rows) {
      const std::string detail = row.at(2).as<std::string>("");
      if (!row.at(0).is_null()) {
        report.violations.push_back({row.at(0).as<std::string>(), row.at(1).as<std::string>(""), detail});
        continue;
      }
      const std::vector<std::string> counts = absl::StrSplit(detail, ' ');
      const bool counted = counts.size() == 3 && absl::SimpleAtoi(counts[0], &report.skus_checked) &&
                           absl::SimpleAtoi(counts[1], &report.reservations_checked) &&
                           absl::SimpleAtoi(counts[2], &report.skus_left);
      RequireOfAnswer(counted, "verify_page's last row counts what was checked");
      if (!row.at(1).is_null()) report.next = VerifyPosition{.shard = shard_, .sku_id = row.at(1).as<std::string>()};
    }
    return report;
  });
}

}  // namespace tranche::storage
