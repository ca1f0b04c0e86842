#include "server/handlers/outdated_view.h"

#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/errors.h"

namespace tranche::server {
namespace {

// In a busy sale, the log may have newer moves than the change that we look for.
constexpr int kEntriesSearched = 1000;

std::optional<storage::AuditEntry> NewestEntry(storage::AuditLedger& ledger, const std::string& sku_id, int limit,
                                               absl::FunctionRef<bool(const storage::AuditEntry&)> matches) {
  const auto entries = ledger.ListAudit(sku_id, /*before=*/0, limit);
  if (!entries.ok()) return std::nullopt;
  for (const storage::AuditEntry& entry : *entries) {
    if (matches(entry)) return entry;
  }
  return std::nullopt;
}

absl::Status Outdated(v1::ErrorReason reason, const std::string& message, ErrorMetadata metadata,
                      const std::optional<storage::AuditEntry>& last) {
  if (!last.has_value()) return MakeError(reason, absl::StrCat(message, "; look again before changing it."), metadata);
  const std::string at = absl::FormatTime(absl::RFC3339_sec, last->at, absl::UTCTimeZone());
  metadata.emplace_back("changed_by", last->actor);
  metadata.emplace_back("changed_at", at);
  return MakeError(reason,
                   absl::StrCat(message, ", last changed by ", last->actor, " at ", at, " (", last->action,
                                "); look again before changing it."),
                   metadata);
}

}  // namespace

absl::Status QuotaVersionChanged(storage::AuditLedger& ledger, const std::string& sku_id, int64_t quota_version) {
  const auto last = NewestEntry(ledger, sku_id, /*limit=*/1, [](const storage::AuditEntry&) { return true; });
  return Outdated(v1::ERROR_REASON_QUOTA_VERSION_CHANGED,
                  absl::StrCat("The quota of SKU ", sku_id, " is now at version ", quota_version),
                  {{"sku_id", sku_id}, {"quota_version", absl::StrCat(quota_version)}}, last);
}

absl::Status StockChanged(storage::AuditLedger& ledger, const std::string& sku_id, int64_t stock) {
  const auto last = NewestEntry(ledger, sku_id, kEntriesSearched, [](const storage::AuditEntry& entry) {
    return absl::StrContains(entry.action, "stock") || entry.action == "create_sku";
  });
  return Outdated(v1::ERROR_REASON_STOCK_CHANGED, absl::StrCat("The stock of SKU ", sku_id, " is now ", stock),
                  {{"sku_id", sku_id}, {"stock", absl::StrCat(stock)}}, last);
}

}  // namespace tranche::server
