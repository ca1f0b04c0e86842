// The admin call that recomputes the ledger's invariants. Blocking: not on gRPC's threads. Thread-safe.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/ledger/stock_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class VerifyHandler {
 public:
  explicit VerifyHandler(storage::StockLedger* ledger) : ledger_(ledger) {}

  absl::StatusOr<v1::VerifyLedgerResponse> Verify(const v1::VerifyLedgerRequest& request);

 private:
  absl::Status Check(const v1::VerifyLedgerRequest& request);
  absl::StatusOr<storage::VerifyReport> Report(const v1::VerifyLedgerRequest& request);

  storage::StockLedger* const ledger_;
};

}  // namespace tranche::server
