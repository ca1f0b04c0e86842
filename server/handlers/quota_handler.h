// Admin calls that show and change who holds how much of a SKU. Blocking: not on gRPC's threads. Thread-safe.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "quota/coordination/announcer.h"
#include "quota/coordination/quota_mover.h"
#include "server/errors.h"
#include "storage/clock.h"
#include "storage/ledger/stock_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class QuotaHandler {
 public:
  // `clock` gives the age of the nodes' reports, and the state of a SKU.
  QuotaHandler(storage::StockLedger* ledger, quota::QuotaMover* mover, quota::SessionSource* sessions,
               storage::Clock* clock)
      : ledger_(ledger), mover_(mover), sessions_(sessions), clock_(clock) {}

  // Without coordination it answers from the ledger alone, without announced versions and reports.
  absl::StatusOr<v1::GetQuotaResponse> Get(const v1::GetQuotaRequest& request);
  absl::StatusOr<v1::SetQuotaResponse> Set(const v1::SetQuotaRequest& request, const storage::Actor& actor);
  absl::StatusOr<v1::MoveQuotaResponse> Move(const v1::MoveQuotaRequest& request, const storage::Actor& actor);
  absl::StatusOr<v1::RebalanceQuotaResponse> Rebalance(const v1::RebalanceQuotaRequest& request,
                                                       const storage::Actor& actor);
  absl::StatusOr<v1::SetQuotaFrozenResponse> SetFrozen(const v1::SetQuotaFrozenRequest& request,
                                                       const storage::Actor& actor);

 private:
  struct Change {
    storage::Sku sku;
    storage::QuotaSnapshot before;
    storage::QuotaSnapshot after;
  };
  // Computes the deltas from the current quota; an error refuses the request.
  using Plan = std::function<absl::StatusOr<std::vector<storage::QuotaDelta>>(const storage::QuotaSnapshot&)>;

  struct Terms {
    bool preview = false;
    int64_t expected_quota_version = 0;  // 0: any version
    // Whether the call may be repeated after a lost answer: with absolute targets yes, with relative ones only against
    // a version.
    Repeatable repeatable = Repeatable::kYes;
  };

  absl::StatusOr<Change> Execute(const std::string& sku_id, const Terms& terms, const storage::Actor& actor,
                                 const Plan& plan);
  absl::StatusOr<storage::SkuQuota> Read(const std::string& sku_id);
  v1::Quota Describe(const storage::Sku& sku, const storage::QuotaSnapshot& quota);

  storage::StockLedger* const ledger_;
  quota::QuotaMover* const mover_;
  quota::SessionSource* const sessions_;
  storage::Clock* const clock_;
};

}  // namespace tranche::server
