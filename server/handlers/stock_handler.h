// Admin calls that change a SKU's stock. Blocking: not on gRPC's threads. Thread-safe.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "quota/coordination/announcer.h"
#include "storage/clock.h"
#include "storage/ledger/stock_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class StockHandler {
 public:
  // `clock` decides what state a SKU is in.
  StockHandler(storage::StockLedger* ledger, quota::Announcer* announcer, storage::Clock* clock)
      : ledger_(ledger), announcer_(announcer), clock_(clock) {}

  // With expected_stock: STOCK_CHANGED, saying who changed it, if the stock is no longer the expected one.
  absl::StatusOr<v1::AddStockResponse> Add(const v1::AddStockRequest& request, const storage::Actor& actor);
  absl::StatusOr<v1::ReduceStockResponse> Reduce(const v1::ReduceStockRequest& request, const storage::Actor& actor);

 private:
  absl::StatusOr<storage::ReducedStock> PreviewReduce(const v1::ReduceStockRequest& request);
  // Translates the ledger's error; one about an outdated expectation also says what the stock is now.
  absl::Status Refusal(const absl::Status& status, const std::string& sku_id, bool repeatable);
  void AnnounceSlices(const std::string& sku_id);

  storage::StockLedger* const ledger_;
  quota::Announcer* const announcer_;
  storage::Clock* const clock_;
};

}  // namespace tranche::server
