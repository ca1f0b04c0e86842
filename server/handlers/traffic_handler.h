// The admin call for the SKUs with the most traffic. Blocking: not on gRPC's threads. Thread-safe.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "quota/coordination/announcer.h"
#include "server/handlers/bounded_look.h"
#include "server/handlers/cluster_traffic.h"
#include "storage/clock.h"
#include "storage/executor.h"
#include "storage/ledger/quota_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class TrafficHandler {
 public:
  // Outlived by all of these. Asks on threads of `executor`; each question waits for less than a second.
  TrafficHandler(storage::QuotaLedger* ledger, quota::SessionSource* sessions, storage::Executor* executor,
                 storage::Clock* clock)
      : ledger_(ledger), sessions_(sessions), executor_(executor), clock_(clock) {}

  // COORDINATION_UNAVAILABLE when ZooKeeper does not answer. Without the ledger, `unsold` is absent.
  absl::StatusOr<v1::ListTrafficResponse> List(const v1::ListTrafficRequest& request);

 private:
  void AddUnsold(absl::Time until, v1::ListTrafficResponse* response);

  storage::QuotaLedger* const ledger_;
  quota::SessionSource* const sessions_;
  storage::Executor* const executor_;
  storage::Clock* const clock_;
  BoundedLook<ClusterTraffic> traffic_;
  BoundedLook<std::vector<storage::SkuQuota>> quotas_;
};

}  // namespace tranche::server
