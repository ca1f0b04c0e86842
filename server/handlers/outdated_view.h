// The refusal of a change that was decided on by an outdated view: it tells what is now, and who changed it when.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "storage/ledger/audit_ledger.h"

namespace tranche::server {

// QUOTA_VERSION_CHANGED. Asks the ledger's audit log; without its answer the refusal says less.
absl::Status QuotaVersionChanged(storage::AuditLedger& ledger, const std::string& sku_id, int64_t quota_version);
// STOCK_CHANGED, likewise.
absl::Status StockChanged(storage::AuditLedger& ledger, const std::string& sku_id, int64_t stock);

}  // namespace tranche::server
