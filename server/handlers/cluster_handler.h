// Admin calls about what holds for all SKUs: the settings of each shard. Blocking: not on gRPC's threads. Thread-safe.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/ledger/settings_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class ClusterHandler {
 public:
  // One shard; `ledger` is null while it is known not to answer.
  struct ShardOfCluster {
    std::string name;
    storage::SettingsLedger* ledger = nullptr;
  };
  // All shards, home first. What they point to outlives the call.
  using Shards = std::function<std::vector<ShardOfCluster>()>;

  explicit ClusterHandler(Shards shards) : shards_(std::move(shards)) {}

  // What no shard answers to is an error; what some answer to is not.
  absl::StatusOr<v1::SetClusterFrozenResponse> SetFrozen(const v1::SetClusterFrozenRequest& request,
                                                         const storage::Actor& actor);
  absl::StatusOr<v1::GetClusterSettingsResponse> Get(const v1::GetClusterSettingsRequest& request);

 private:
  const Shards shards_;
};

}  // namespace tranche::server
