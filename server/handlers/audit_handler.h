// The admin call that lists who changed what. A shard that does not answer is named, and holds up nobody. Blocking: not
// on gRPC's threads. Thread-safe.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/ledger/stock_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class AuditHandler {
 public:
  // The logs to merge: each shard's name and its ledger, or null if the shard is known not to answer.
  using Logs = std::function<std::vector<std::pair<std::string, storage::AuditLedger*>>()>;

  // `ledger` covers the SKUs of all shards.
  AuditHandler(storage::StockLedger* ledger, Logs logs) : ledger_(ledger), logs_(std::move(logs)) {}
  // Reads one ledger only.
  explicit AuditHandler(storage::StockLedger* ledger)
      : AuditHandler(ledger, [ledger] {
          return decltype(logs_())(1, {storage::kHomeShard, ledger});
        }) {}

  absl::StatusOr<v1::ListAuditResponse> List(const v1::ListAuditRequest& request);

 private:
  storage::StockLedger* const ledger_;
  const Logs logs_;
};

}  // namespace tranche::server
