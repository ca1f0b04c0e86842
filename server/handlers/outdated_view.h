// The error for a change that was based on an outdated view: it says what the state is now, and what people last did
// about it.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "storage/ledger/audit_ledger.h"

namespace tranche::server {

// QUOTA_VERSION_CHANGED, with the last change of the quota that a person made. What came in between may be another one:
// balancers and nodes move units, too, and that is not in the audit log. If the log does not answer, the error has
// fewer details.
absl::Status QuotaVersionChanged(storage::AuditLedger& ledger, const std::string& sku_id, int64_t quota_version);
// TERMS_CHANGED, with who changed the terms last.
absl::Status TermsChanged(storage::AuditLedger& ledger, const std::string& sku_id, int64_t terms_version);
// STOCK_CHANGED, with who changed the stock last: only people do. Without the log, it has fewer details.
absl::Status StockChanged(storage::AuditLedger& ledger, const std::string& sku_id, int64_t stock);

}  // namespace tranche::server
