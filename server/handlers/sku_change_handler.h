// Admin calls that stop a SKU's sale for a while, change its terms, and reopen it. Blocking: not on gRPC's threads.
// Thread-safe.
#pragma once

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "quota/coordination/announcer.h"
#include "server/handlers/claim_path_warnings.h"
#include "storage/clock.h"
#include "storage/ledger/stock_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class SkuChangeHandler {
 public:
  // `clock` decides what state a SKU is in. `count_consumers`: null if this node can queue no claims; it
  // may block.
  SkuChangeHandler(storage::StockLedger* ledger, quota::Announcer* announcer, storage::Clock* clock,
                   CountConsumers count_consumers = nullptr)
      : ledger_(ledger), announcer_(announcer), clock_(clock), count_consumers_(std::move(count_consumers)) {}

  absl::StatusOr<v1::SetSkuPausedResponse> SetPaused(const v1::SetSkuPausedRequest& request,
                                                     const storage::Actor& actor);
  absl::StatusOr<v1::UpdateSkuResponse> Update(const v1::UpdateSkuRequest& request, const storage::Actor& actor);
  absl::StatusOr<v1::ReopenSkuResponse> Reopen(const v1::ReopenSkuRequest& request, const storage::Actor& actor);

 private:
  // The SKU before and after a change, with a warning if the nodes were to be told of it and were not.
  template <typename Response>
  Response Answer(const storage::Sku& before, const storage::Sku& after, bool announced = true) const;
  // TERMS_CHANGED.
  absl::Status TermsAreOthers(const std::string& sku_id) const;

  storage::StockLedger* const ledger_;
  quota::Announcer* const announcer_;
  storage::Clock* const clock_;
  const CountConsumers count_consumers_;
};

}  // namespace tranche::server
