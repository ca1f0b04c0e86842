// The admin call that says what runs, what does not and what waits. Blocking: not on gRPC's threads. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "quota/coordination/announcer.h"
#include "quota/coordination/live_nodes.h"
#include "server/handlers/bounded_look.h"
#include "server/handlers/cluster_traffic.h"
#include "server/handlers/pool_watch.h"
#include "storage/clock.h"
#include "storage/executor.h"
#include "storage/ledger/health_ledger.h"
#include "storage/shards/shard_set.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

// Asks the shards on their own threads and ZooKeeper on one of `executor`'s, side by side. What does not answer within
// `patience` in all is told as silent.
class StatusHandler {
 public:
  // Less than the second after which tranchectl asks another node.
  static constexpr absl::Duration kPatience = absl::Milliseconds(800);

  // Outlived by all of these. `clock` dates the answer.
  StatusHandler(storage::ShardSet* shards, quota::SessionSource* sessions, storage::Executor* executor,
                storage::Clock* clock, absl::Duration patience = kPatience)
      : shards_(shards), sessions_(sessions), executor_(executor), clock_(clock), patience_(patience) {}

  // Never an error.
  absl::StatusOr<v1::GetStatusResponse> Get(const v1::GetStatusRequest& request);

 private:
  // What one look at ZooKeeper found.
  struct Tree {
    std::vector<quota::LiveNode> nodes;
    ClusterTraffic traffic;
    std::map<std::string, std::string> leaders;  // names, by shard
  };
  // What one look at a shard found.
  struct Books {
    storage::LedgerHealth health;
    std::vector<storage::Heartbeat> heartbeats;
  };
  using Gone = std::vector<storage::GoneIncarnation>;
  struct ShardLooks {
    BoundedLook<Books> books;
    BoundedLook<Gone> gone;
  };

  static absl::StatusOr<Tree> LookAtTree(quota::SessionSource& sessions, const std::vector<std::string>& shards);
  static absl::StatusOr<Books> LookAtBooks(storage::HealthLedger& ledger);

  std::shared_ptr<ShardLooks> LooksAt(const std::string& shard);
  void FillCoordination(const absl::StatusOr<Tree>& tree, absl::Time now, v1::GetStatusResponse* response);
  void FillShard(const std::string& name, const absl::StatusOr<Books>& books, const absl::StatusOr<Tree>& tree,
                 absl::Time now, v1::ShardStatus* message);
  void FillGoneNodes(const storage::ShardList& shards, const Tree& tree, absl::Time until,
                     v1::GetStatusResponse* response);

  storage::ShardSet* const shards_;
  quota::SessionSource* const sessions_;
  storage::Executor* const executor_;
  storage::Clock* const clock_;
  const absl::Duration patience_;
  PoolWatch pools_;
  BoundedLook<Tree> tree_;
  absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<ShardLooks>> looks_ ABSL_GUARDED_BY(mutex_);
  absl::Time tree_answered_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace tranche::server
