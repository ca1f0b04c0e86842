// The audit log of PostgresStockLedger.

#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "storage/base/status_macros.h"
#include "storage/postgres/answer.h"
#include "storage/postgres/call.h"
#include "storage/postgres/postgres_ledger.h"
#include "storage/postgres/sku_row.h"

namespace tranche::storage {
namespace {

std::optional<int64_t> MicrosIfFinite(absl::Time time) {
  if (time == absl::InfinitePast() || time == absl::InfiniteFuture()) return std::nullopt;
  return absl::ToUnixMicros(time);
}

// Lines of number and name.
std::map<IncarnationId, std::string> ToNodes(const std::string& lines) {
  std::map<IncarnationId, std::string> nodes;
  for (const absl::string_view line : absl::StrSplit(lines, '\n', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> node = absl::StrSplit(line, absl::MaxSplits(' ', 1));
    IncarnationId id = kPool;
    if (absl::SimpleAtoi(node.first, &id)) nodes[id] = node.second;
  }
  return nodes;
}

AuditEntry ToAuditEntry(const pqxx::row& row) {
  return AuditEntry{.id = row.at(0).as<int64_t>(),
                    .at = TimeOf(row.at(1)),
                    .actor = row.at(2).as<std::string>(),
                    .action = row.at(3).as<std::string>(),
                    .sku_id = row.at(4).as<std::string>(""),
                    .incarnation = row.at(5).as<int64_t>(),
                    .before = row.at(6).as<std::string>(""),
                    .after = row.at(7).as<std::string>(""),
                    .reason = row.at(8).as<std::string>(""),
                    .automatic = row.at(9).as<bool>(),
                    .nodes = ToNodes(row.at(10).as<std::string>(""))};
}

}  // namespace

absl::StatusOr<std::vector<AuditEntry>> PostgresStockLedger::ListAudit(const AuditFilter& filter, int64_t before,
                                                                       int limit) {
  const NullableNumber since(MicrosIfFinite(filter.since));
  const NullableNumber until(MicrosIfFinite(filter.until));
  ASSIGN_OR_RETURN(const auto rows,
                   Call(*pool_, Repeat::kRead, "list_audit", filter.sku_id, before, limit, filter.actor, filter.action,
                        since.parameter(), until.parameter(), filter.automatic));
  return ReadAnswer(Repeat::kRead, [&] {
    std::vector<AuditEntry> entries;
    for (const pqxx::row& row : rows) entries.push_back(ToAuditEntry(row));
    return entries;
  });
}

// Not repeated after a lost answer: nothing has been changed yet, and its caller says so.
absl::StatusOr<int64_t> PostgresStockLedger::BeginAudit(const AuditNote& note) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kNever, "begin_audit", note.actor.ForLedger(), note.action,
                                         note.sku_id, note.before, note.asked));
  return ReadValue<int64_t>(Repeat::kNever, rows);
}

absl::StatusOr<bool> PostgresStockLedger::EndAudit(int64_t id, const std::string& result) {
  ASSIGN_OR_RETURN(const auto rows, Call(*pool_, Repeat::kIfAnswerLost, "end_audit", id, result));
  return ReadValue<bool>(Repeat::kIfAnswerLost, rows);
}

}  // namespace tranche::storage
