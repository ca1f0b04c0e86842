#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "glog/logging.h"
#include "storage/postgres/array_literal.h"
#include "storage/postgres/call.h"
#include "storage/postgres/postgres_ledger.h"

namespace tranche::storage {
namespace {

absl::Status NoSuchSku(const std::string& sku_id) { return absl::NotFoundError(absl::StrCat("no SKU ", sku_id)); }

// A number as a parameter that may be NULL.
class NullableNumber {
 public:
  explicit NullableNumber(std::optional<int64_t> value) {
    if (value.has_value()) text_ = absl::StrCat(*value);
  }
  const char* parameter() const { return text_.empty() ? nullptr : text_.c_str(); }

 private:
  std::string text_;
};

std::optional<int64_t> FiniteMicros(absl::Time time) {
  if (time == absl::InfinitePast() || time == absl::InfiniteFuture()) return std::nullopt;
  return absl::ToUnixMicros(time);
}

absl::Time TimeOr(const pqxx::field& micros, absl::Time when_null) {
  return micros.is_null() ? when_null : absl::FromUnixMicros(micros.as<int64_t>());
}

Sku ToSku(const pqxx::row& row) {
  return Sku{.sku_id = row[0].c_str(),
             .title = row[1].c_str(),
             .price_minor = row[2].as<int64_t>(),
             .currency = row[3].c_str(),
             .stock = row[4].as<int64_t>(),
             .per_user_limit = row[5].as<int32_t>(),
             .hold = absl::Seconds(row[6].as<int64_t>()),
             .opens_at = TimeOr(row[7], absl::InfinitePast()),
             .closes_at = TimeOr(row[8], absl::InfiniteFuture()),
             .closed = row[9].as<bool>(),
             .slots_per_slice = row[10].as<int32_t>(),
             .unsold = row[11].as<int64_t>(),
             .quota_version = row[12].as<int64_t>(),
             .holds_may_lapse = row[13].as<bool>()};
}

QuotaSnapshot ToQuota(const std::string& sku_id, const pqxx::result& rows) {
  QuotaSnapshot quota{.sku_id = sku_id,
                      .quota_version = rows.front()[0].as<int64_t>(),
                      .closed = rows.front()[1].as<bool>(),
                      .slices = {}};
  for (const pqxx::row& row : rows) {
    quota.slices.push_back(Slice{.holder = row[2].as<int64_t>(),
                                 .allotted = row[3].as<int64_t>(),
                                 .remaining = row[4].as<int64_t>(),
                                 .version = row[5].as<int64_t>()});
  }
  return quota;
}

}  // namespace

absl::StatusOr<Sku> PostgresStockLedger::CreateSku(const Sku& sku, const std::string& actor) {
  const NullableNumber opens(FiniteMicros(sku.opens_at));
  const NullableNumber closes(FiniteMicros(sku.closes_at));
  const auto rows = Call(*pool_, Repeat::kNever, "create_sku", sku.sku_id, sku.title, sku.price_minor, sku.currency,
                         sku.stock, sku.per_user_limit, absl::ToInt64Seconds(sku.hold), opens.parameter(),
                         closes.parameter(), sku.slots_per_slice, actor);
  if (!rows.ok()) return rows.status();
  if (!rows->front()[0].as<bool>()) return absl::AlreadyExistsError(absl::StrCat("SKU ", sku.sku_id, " exists"));
  return GetSku(sku.sku_id);
}

absl::StatusOr<Sku> PostgresStockLedger::GetSku(const std::string& sku_id) {
  const auto rows = Call(*pool_, Repeat::kIfAnswerLost, "list_skus", "", 1, sku_id);
  if (!rows.ok()) return rows.status();
  if (rows->empty()) return NoSuchSku(sku_id);
  return ToSku(rows->front());
}

absl::StatusOr<std::vector<Sku>> PostgresStockLedger::ListSkus(const std::string& after, int limit) {
  const char* const every = nullptr;
  const auto rows = Call(*pool_, Repeat::kIfAnswerLost, "list_skus", after, limit, every);
  if (!rows.ok()) return rows.status();
  std::vector<Sku> skus;
  for (const pqxx::row& row : *rows) skus.push_back(ToSku(row));
  return skus;
}

absl::StatusOr<Sku> PostgresStockLedger::CloseSku(const std::string& sku_id, const std::string& actor) {
  const auto rows = Call(*pool_, Repeat::kIfAnswerLost, "close_sku", sku_id, actor);
  if (!rows.ok()) return rows.status();
  if (!rows->front()[0].as<bool>()) return NoSuchSku(sku_id);
  return GetSku(sku_id);
}

absl::StatusOr<Sku> PostgresStockLedger::AddStock(const std::string& sku_id, int64_t units, const std::string& actor) {
  const auto rows = Call(*pool_, Repeat::kNever, "add_stock", sku_id, units, actor);
  if (!rows.ok()) return rows.status();
  if (!rows->front()[0].as<bool>()) return NoSuchSku(sku_id);
  return ReadChanged(sku_id);
}

// The SKU after a change that must not be repeated: when it cannot be read, the change is done all the same.
absl::StatusOr<Sku> PostgresStockLedger::ReadChanged(const std::string& sku_id) {
  absl::StatusOr<Sku> sku = GetSku(sku_id);
  if (sku.ok()) return sku;
  return UnknownCommitError(absl::StrCat("the change was made, but not read back: ", sku.status().message()));
}

absl::StatusOr<ReducedStock> PostgresStockLedger::ReduceStock(const std::string& sku_id, int64_t units,
                                                              const std::string& actor) {
  const auto rows = Call(*pool_, Repeat::kNever, "reduce_stock", sku_id, units, actor);
  if (!rows.ok()) return rows.status();
  if (rows->front()[0].is_null()) return NoSuchSku(sku_id);
  auto sku = ReadChanged(sku_id);
  if (!sku.ok()) return sku.status();
  return ReducedStock{*std::move(sku), rows->front()[0].as<int64_t>()};
}

absl::StatusOr<QuotaSnapshot> PostgresStockLedger::ReadQuota(const std::string& sku_id) {
  const auto rows = Call(*pool_, Repeat::kIfAnswerLost, "read_quota", sku_id);
  if (!rows.ok()) return rows.status();
  if (rows->empty()) return NoSuchSku(sku_id);
  return ToQuota(sku_id, *rows);
}

absl::StatusOr<QuotaSnapshot> PostgresStockLedger::MoveUnits(const std::string& sku_id,
                                                             absl::Span<const QuotaDelta> deltas,
                                                             std::optional<int64_t> expected_quota_version,
                                                             const std::string& actor) {
  ArrayLiteral holders, units;
  for (const QuotaDelta& delta : deltas) {
    holders.AddInt(delta.holder);
    units.AddInt(delta.units);
  }
  const NullableNumber expected(expected_quota_version);
  const auto rows = Call(*pool_, Repeat::kNever, "move_units", sku_id, std::move(holders).Finish(),
                         std::move(units).Finish(), expected.parameter(), actor);
  if (!rows.ok()) return rows.status();
  const pqxx::field moved = rows->front()[0];
  if (moved.is_null()) return NoSuchSku(sku_id);
  if (!moved.as<bool>()) return absl::AbortedError(absl::StrCat("the quota of ", sku_id, " has changed meanwhile"));
  return ReadQuota(sku_id);
}

absl::StatusOr<std::vector<std::string>> PostgresStockLedger::ListPooledSkus(const std::string& after, int limit) {
  const auto rows = Call(*pool_, Repeat::kIfAnswerLost, "list_pooled_skus", after, limit);
  if (!rows.ok()) return rows.status();
  std::vector<std::string> skus;
  for (const pqxx::row& row : *rows) skus.emplace_back(row[0].c_str());
  return skus;
}

absl::StatusOr<std::vector<std::pair<std::string, Slice>>> PostgresStockLedger::ListSlices(IncarnationId incarnation) {
  const auto rows = Call(*pool_, Repeat::kIfAnswerLost, "list_slices", incarnation);
  if (!rows.ok()) return rows.status();
  std::vector<std::pair<std::string, Slice>> slices;
  for (const pqxx::row& row : *rows) {
    slices.emplace_back(row[0].c_str(), Slice{.holder = incarnation,
                                              .allotted = row[1].as<int64_t>(),
                                              .remaining = row[2].as<int64_t>(),
                                              .version = row[3].as<int64_t>()});
  }
  return slices;
}

absl::StatusOr<IncarnationId> PostgresStockLedger::RegisterIncarnation(const std::string& node_name,
                                                                       const std::string& address) {
  // A repeated registration leaves an incarnation that never held anything; the balancer ends it.
  const auto rows = Call(*pool_, Repeat::kIfAnswerLost, "register_incarnation", node_name, address);
  if (!rows.ok()) return rows.status();
  return rows->front()[0].as<int64_t>();
}

absl::StatusOr<std::vector<Incarnation>> PostgresStockLedger::ListLiveIncarnations() {
  const auto rows = Call(*pool_, Repeat::kIfAnswerLost, "list_live_incarnations");
  if (!rows.ok()) return rows.status();
  std::vector<Incarnation> live;
  for (const pqxx::row& row : *rows) {
    live.push_back(Incarnation{.id = row[0].as<int64_t>(),
                               .node_name = row[1].c_str(),
                               .address = row[2].c_str(),
                               .started_at = absl::FromUnixMicros(row[3].as<int64_t>())});
  }
  return live;
}

absl::StatusOr<std::vector<std::string>> PostgresStockLedger::ReclaimIncarnation(IncarnationId incarnation) {
  const auto rows = Call(*pool_, Repeat::kIfAnswerLost, "reclaim_incarnation", incarnation);
  if (!rows.ok()) return rows.status();
  std::vector<std::string> skus;
  for (const pqxx::row& row : *rows) skus.emplace_back(row[0].c_str());
  return skus;
}

absl::StatusOr<VerifyReport> PostgresStockLedger::Verify(const std::string& sku_id) {
  const auto rows = Call(*pool_, Repeat::kIfAnswerLost, "verify_ledger", sku_id);
  if (!rows.ok()) return rows.status();
  VerifyReport report;
  for (const pqxx::row& row : *rows) {
    if (!row[0].is_null()) {
      report.violations.push_back({row[0].c_str(), row[1].c_str(), row[2].c_str()});
      continue;
    }
    const std::vector<std::string> counts = absl::StrSplit(row[2].c_str(), ' ');
    CHECK(counts.size() == 2 && absl::SimpleAtoi(counts[0], &report.skus_checked) &&
          absl::SimpleAtoi(counts[1], &report.reservations_checked))
        << "verify_ledger's last row counts what was checked";
  }
  return report;
}

}  // namespace tranche::storage
