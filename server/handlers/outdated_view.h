// The error for a change that was based on an outdated view: it says what the state is now, and who changed it when.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "storage/ledger/audit_ledger.h"

namespace tranche::server {

// QUOTA_VERSION_CHANGED. Asks the ledger's audit log; if that does not answer, the error has fewer details.
absl::Status QuotaVersionChanged(storage::AuditLedger& ledger, const std::string& sku_id, int64_t quota_version);
// STOCK_CHANGED, likewise.
absl::Status StockChanged(storage::AuditLedger& ledger, const std::string& sku_id, int64_t stock);

}  // namespace tranche::server
