#include "server/handlers/outdated_view.h"

#include <optional>

#include "absl/algorithm/container.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/errors.h"

namespace tranche::server {
namespace {

// Newer entries of the SKU may be about something else, such as corrected payments.
constexpr int kEntriesSearched = 1000;

// By which people change a SKU's quota. Reclaimed units and raised versions are in the log, too, but no person has
// asked for them; what nodes take from the pool, and what balancers move, is not in it.
constexpr absl::string_view kQuotaActions[] = {
    "create_sku", "add_stock", "reduce_stock", "move_units", "freeze_quota",   "thaw_quota", "close_sku",
    "reopen_sku", "pause_sku", "resume_sku",   "update_sku", "abort_move_sku", "move_sku"};

bool ChangesQuota(const storage::AuditEntry& entry) { return absl::c_linear_search(kQuotaActions, entry.action); }

constexpr absl::string_view kTermsActions[] = {"create_sku", "close_sku",  "reopen_sku",
                                               "pause_sku",  "resume_sku", "update_sku"};

bool ChangesTerms(const storage::AuditEntry& entry) { return absl::c_linear_search(kTermsActions, entry.action); }

bool ChangesStock(const storage::AuditEntry& entry) {
  return absl::StrContains(entry.action, "stock") || entry.action == "create_sku";
}

std::optional<storage::AuditEntry> NewestEntry(storage::AuditLedger& ledger, const std::string& sku_id,
                                               absl::FunctionRef<bool(const storage::AuditEntry&)> matches) {
  const auto entries = ledger.ListAudit({.sku_id = sku_id, .automatic = false}, /*before=*/0, kEntriesSearched);
  if (!entries.ok()) return std::nullopt;
  for (const storage::AuditEntry& entry : *entries) {
    if (matches(entry)) return entry;
  }
  return std::nullopt;
}

std::string TimeOf(const storage::AuditEntry& entry) {
  return absl::FormatTime(absl::RFC3339_sec, entry.at, absl::UTCTimeZone());
}

void AppendLastChange(const std::optional<storage::AuditEntry>& last, std::string& message, ErrorMetadata& metadata) {
  if (!last.has_value()) return;
  const std::string at = TimeOf(*last);
  absl::StrAppend(&message, ", last changed by ", last->actor, " at ", at, " (", last->action, ")");
  metadata.emplace_back("changed_by", last->actor);
  metadata.emplace_back("changed_at", at);
}

}  // namespace

absl::Status QuotaVersionChanged(storage::AuditLedger& ledger, const std::string& sku_id, int64_t quota_version) {
  std::string message =
      absl::StrCat("The quota of SKU ", sku_id, " has changed meanwhile: it is now at version ", quota_version);
  if (const auto last = NewestEntry(ledger, sku_id, ChangesQuota); last.has_value()) {
    absl::StrAppend(&message, "; the last change that a person made was ", last->action, " by ", last->actor, " at ",
                    TimeOf(*last));
  }
  return MakeError(v1::ERROR_REASON_QUOTA_VERSION_CHANGED, absl::StrCat(message, "; look again before changing it."),
                   {{"sku_id", sku_id}, {"quota_version", absl::StrCat(quota_version)}});
}

absl::Status TermsChanged(storage::AuditLedger& ledger, const std::string& sku_id, int64_t terms_version) {
  std::string message = absl::StrCat("The terms of SKU ", sku_id, " are now at version ", terms_version);
  ErrorMetadata metadata = {{"sku_id", sku_id}, {"terms_version", absl::StrCat(terms_version)}};
  AppendLastChange(NewestEntry(ledger, sku_id, ChangesTerms), message, metadata);
  return MakeError(v1::ERROR_REASON_TERMS_CHANGED, absl::StrCat(message, "; look again before changing them."),
                   metadata);
}

absl::Status StockChanged(storage::AuditLedger& ledger, const std::string& sku_id, int64_t stock) {
  std::string message = absl::StrCat("The stock of SKU ", sku_id, " is now ", stock);
  ErrorMetadata metadata = {{"sku_id", sku_id}, {"stock", absl::StrCat(stock)}};
  AppendLastChange(NewestEntry(ledger, sku_id, ChangesStock), message, metadata);
  return MakeError(v1::ERROR_REASON_STOCK_CHANGED, absl::StrCat(message, "; look again before changing it."), metadata);
}

}  // namespace tranche::server
