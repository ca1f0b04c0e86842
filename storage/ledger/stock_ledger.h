// All that the ledger knows about stock, for users of several of its parts: the balancer, a node's agent, some admin
// calls. Code that needs one part takes only that one.
#pragma once

#include "storage/ledger/audit_ledger.h"
#include "storage/ledger/history_ledger.h"
#include "storage/ledger/incarnation_ledger.h"
#include "storage/ledger/quota_ledger.h"
#include "storage/ledger/settings_ledger.h"
#include "storage/ledger/sku_ledger.h"

namespace tranche::storage {

class StockLedger : public SkuLedger,
                    public QuotaLedger,
                    public IncarnationLedger,
                    public AuditLedger,
                    public HistoryLedger,
                    public SettingsLedger {};

}  // namespace tranche::storage
