// Admin calls that change a SKU's stock. Blocking: not on gRPC's threads. Thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "quota/announcer.h"
#include "storage/ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class StockHandler {
 public:
  StockHandler(storage::StockLedger* ledger, quota::Announcer* announcer) : ledger_(ledger), announcer_(announcer) {}

  absl::StatusOr<v1::AddStockResponse> Add(const v1::AddStockRequest& request, const std::string& actor);
  absl::StatusOr<v1::ReduceStockResponse> Reduce(const v1::ReduceStockRequest& request, const std::string& actor);

 private:
  absl::StatusOr<storage::ReducedStock> PreviewReduce(const v1::ReduceStockRequest& request);
  void AnnounceSlices(const std::string& sku_id);

  storage::StockLedger* const ledger_;
  quota::Announcer* const announcer_;
};

}  // namespace tranche::server
