// The admin call that says what runs, what does not and what waits. Blocking: not on gRPC's threads. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "quota/coordination/announcer.h"
#include "quota/coordination/live_nodes.h"
#include "server/handlers/bounded_look.h"
#include "server/handlers/cluster_traffic.h"
#include "server/handlers/draw_watch.h"
#include "server/handlers/pool_watch.h"
#include "storage/clock.h"
#include "storage/executor.h"
#include "storage/ledger/draw_ledger.h"
#include "storage/ledger/front_ledger.h"
#include "storage/ledger/group_ledger.h"
#include "storage/ledger/health_ledger.h"
#include "storage/shards/shard_set.h"
#include "tranche/internal/v1/coordination.pb.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

// Asks the shards on their threads for looks and ZooKeeper on `executor`'s, side by side. What does not answer within
// `patience` in all is told as silent.
class StatusHandler {
 public:
  // Less than the second after which tranchectl asks another node.
  static constexpr absl::Duration kPatience = absl::Milliseconds(800);

  // A broker is looked at this often, however often the status is asked for: each look is a connection to it.
  static constexpr absl::Duration kBrokerLooks = absl::Seconds(1);
  // What one look at the broker found.
  struct BrokerState {
    std::vector<v1::ClaimQueueState> queues;
    bool takes_claims = true;  // of this node. Under an alarm it answers, and takes none
  };
  // Looks at the broker; blocks.
  using ReadBroker = std::function<absl::StatusOr<BrokerState>()>;

  // Outlived by all of these. `clock` dates the answer. `read_broker`: null if this node has no broker; it may still be
  // called when a call has been answered, on `executor`.
  StatusHandler(storage::ShardSet* shards, quota::SessionSource* sessions, storage::Executor* executor,
                storage::Clock* clock, absl::Duration patience = kPatience, ReadBroker read_broker = nullptr)
      : shards_(shards),
        sessions_(sessions),
        executor_(executor),
        clock_(clock),
        patience_(patience),
        read_broker_(std::move(read_broker)) {}

  // Never an error.
  absl::StatusOr<v1::GetStatusResponse> Get(const v1::GetStatusRequest& request);

 private:
  // What one look at ZooKeeper found. The nodes' reports are another: they are many, and may come too late.
  struct Tree {
    std::vector<quota::LiveNode> nodes;
    std::map<std::string, std::string> leaders;  // names, by shard
  };
  // What one look at a shard found.
  struct Books {
    storage::LedgerHealth health;
    std::vector<storage::Heartbeat> heartbeats;
    std::vector<storage::Draw> draws;            // that workers carry on
    std::optional<storage::GroupCounts> groups;  // unless the ledger does not count them
    std::optional<storage::ServiceMode> mode;    // only of home
  };
  using Gone = std::vector<storage::GoneIncarnation>;
  struct Pong {};
  struct ShardLooks {
    BoundedLook<Books> books;
    BoundedLook<Gone> gone;
    BoundedLook<Pong> ping;
  };
  // What was asked of one shard, and waits for its answer.
  struct ShardQuestions {
    std::shared_ptr<BoundedLook<Books>::Question> books;
    std::shared_ptr<BoundedLook<Gone>::Question> gone;  // null while it is not known who serves
    std::shared_ptr<BoundedLook<Pong>::Question> ping;
  };

  static absl::StatusOr<Tree> LookAtTree(quota::SessionSource& sessions, const std::vector<std::string>& shards);
  static absl::StatusOr<ClusterTraffic> LookAtTraffic(quota::SessionSource& sessions);
  static absl::StatusOr<internal::v1::RoomBoards> LookAtRooms(quota::SessionSource& sessions);
  // `front`: null, or home's.
  static absl::StatusOr<Books> LookAtBooks(storage::HealthLedger& ledger, storage::DrawLedger& draws,
                                           storage::GroupLedger& groups, storage::FrontLedger* front);

  std::shared_ptr<ShardLooks> LooksAt(const std::string& shard);
  // Null: this node has no broker. An earlier question, if it is not old.
  std::shared_ptr<BoundedLook<BrokerState>::Question> AskBroker();
  // Who has gone is asked later, when it is known who serves.
  std::vector<ShardQuestions> AskShards(const storage::ShardList& shards);
  void AskForGoneNodes(const storage::ShardList& shards, const Tree& tree, std::vector<ShardQuestions>* asked);
  void FillCoordination(const absl::StatusOr<Tree>& tree, const absl::StatusOr<ClusterTraffic>& traffic, absl::Time now,
                        v1::GetStatusResponse* response);
  static void FillRooms(const internal::v1::RoomBoards& boards, absl::Time now, v1::GetStatusResponse* response);
  static void FillBroker(const absl::StatusOr<BrokerState>& broker, v1::GetStatusResponse* response);
  void FillShard(const storage::ShardBackend& shard, const ShardQuestions& asked, absl::Time until,
                 const absl::StatusOr<Tree>& tree, v1::GetStatusResponse* response);
  void FillBooks(const std::string& shard, const Books& books, absl::Time now, v1::ShardStatus* message);
  static void FillGoneNodes(const storage::ShardList& shards, const std::vector<ShardQuestions>& asked,
                            absl::Time until, v1::GetStatusResponse* response);

  storage::ShardSet* const shards_;
  quota::SessionSource* const sessions_;
  storage::Executor* const executor_;
  storage::Clock* const clock_;
  const absl::Duration patience_;
  const ReadBroker read_broker_;
  PoolWatch pools_;
  DrawWatch draws_;
  BoundedLook<Tree> tree_;
  BoundedLook<ClusterTraffic> traffic_;
  BoundedLook<internal::v1::RoomBoards> rooms_;
  BoundedLook<BrokerState> broker_;
  absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<ShardLooks>> looks_ ABSL_GUARDED_BY(mutex_);
  absl::Time tree_answered_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  std::shared_ptr<BoundedLook<BrokerState>::Question> broker_asked_ ABSL_GUARDED_BY(mutex_);
  absl::Time broker_asked_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace tranche::server
