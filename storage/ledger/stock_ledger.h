// All that the ledger knows about stock, for those who need two of its subjects or more: the balancer, a node's agent,
// some admin calls. Whoever needs one takes that one.
#pragma once

#include "storage/ledger/audit_ledger.h"
#include "storage/ledger/incarnation_ledger.h"
#include "storage/ledger/quota_ledger.h"
#include "storage/ledger/sku_ledger.h"

namespace tranche::storage {

class StockLedger : public SkuLedger, public QuotaLedger, public IncarnationLedger, public AuditLedger {};

}  // namespace tranche::storage
