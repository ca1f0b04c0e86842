// Admin calls that show and change who holds how much of a SKU. Blocking: not on gRPC's threads. Thread-safe.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "quota/announcer.h"
#include "quota/live_nodes.h"
#include "quota/quota_mover.h"
#include "storage/ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class QuotaHandler {
 public:
  QuotaHandler(storage::StockLedger* ledger, quota::QuotaMover* mover, quota::SessionSource* sessions)
      : ledger_(ledger), mover_(mover), sessions_(sessions) {}

  // Answers from the ledger alone, without announced versions, while there is no coordination.
  absl::StatusOr<v1::GetQuotaResponse> Get(const v1::GetQuotaRequest& request);
  absl::StatusOr<v1::SetQuotaResponse> Set(const v1::SetQuotaRequest& request, const std::string& actor);
  absl::StatusOr<v1::RebalanceQuotaResponse> Rebalance(const v1::RebalanceQuotaRequest& request,
                                                       const std::string& actor);

 private:
  struct Change {
    storage::QuotaSnapshot before;
    storage::QuotaSnapshot after;
  };
  // Decides on deltas from what is; an error refuses.
  using Plan = std::function<absl::StatusOr<std::vector<storage::QuotaDelta>>(const storage::QuotaSnapshot&)>;

  absl::StatusOr<Change> Execute(const std::string& sku_id, bool preview, int64_t expected_quota_version,
                                 const std::string& actor, const Plan& plan);
  v1::Quota ToMessage(const storage::QuotaSnapshot& quota);
  void AddNames(v1::Quota* message);
  void AddAnnouncedVersions(v1::Quota* message);

  storage::StockLedger* const ledger_;
  quota::QuotaMover* const mover_;
  quota::SessionSource* const sessions_;
};

}  // namespace tranche::server
