// The admin call that tells who changed what. Blocking: not on gRPC's threads. Thread-safe.
#pragma once

#include "absl/status/statusor.h"
#include "storage/ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class AuditHandler {
 public:
  explicit AuditHandler(storage::StockLedger* ledger) : ledger_(ledger) {}

  absl::StatusOr<v1::ListAuditResponse> List(const v1::ListAuditRequest& request);

 private:
  void AddNames(v1::ListAuditResponse* response);

  storage::StockLedger* const ledger_;
};

}  // namespace tranche::server
