// Admin calls about shards, and the move of a SKU from one to another. Blocking: not on gRPC's threads. Thread-safe.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "quota/coordination/announcer.h"
#include "server/handlers/sku_move_preview.h"
#include "server/process/shard_hosts.h"
#include "storage/clock.h"
#include "storage/postgres/connection_pool.h"
#include "storage/shards/shard_set.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class ShardHandler {
 public:
  // How such a call connects: on connections of its own.
  using PoolOf = std::function<storage::PoolOptions(const std::string& dsn)>;
  using Tell = std::function<void(const v1::MoveSkuResponse&)>;

  // `hosts`: of databases that may become shards.
  ShardHandler(storage::ShardSet* shards, quota::Announcer* announcer, storage::Clock* clock, PoolOf pool_of,
               ShardHosts hosts)
      : shards_(shards), announcer_(announcer), clock_(clock), pool_of_(std::move(pool_of)), hosts_(std::move(hosts)) {}

  absl::StatusOr<v1::ListShardsResponse> List(const v1::ListShardsRequest& request);
  absl::StatusOr<v1::AddShardResponse> Add(const v1::AddShardRequest& request, const storage::Actor& actor);
  // Takes as long as copying the SKU's reservations does; `tell` gets the progress.
  absl::Status Move(const v1::MoveSkuRequest& request, const storage::Actor& actor, const Tell& tell);

 private:
  absl::Status PreviewMove(const v1::MoveSkuRequest& request, const SkuPlaces& places, const Tell& tell);

  storage::ShardSet* const shards_;
  quota::Announcer* const announcer_;
  storage::Clock* const clock_;
  const PoolOf pool_of_;
  const ShardHosts hosts_;
};

}  // namespace tranche::server
