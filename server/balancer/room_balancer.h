// What keeps the waiting rooms in a balancer process: a thread beside the rounds, so that a ledger that hangs holds up
// rooms and nothing else.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "quota/coordination/announcer.h"
#include "server/balancer/room_keeper.h"
#include "server/balancer/sale_finder.h"
#include "server/balancer/shard_balancer.h"
#include "server/process/periodic_task.h"
#include "storage/postgres/postgres_front_ledger.h"

namespace tranche::server {

// Thread-safe, except for starting and ending.
class RoomBalancer {
 public:
  // `home` outlives it. Does nothing yet.
  explicit RoomBalancer(ShardBalancer* home);
  ~RoomBalancer() { Stop(); }
  RoomBalancer(const RoomBalancer&) = delete;
  RoomBalancer& operator=(const RoomBalancer&) = delete;

  // SKUs are looked for at this shard, too, as long as the balancer exists.
  void AddShard(const std::string& name, const std::shared_ptr<ShardBalancer>& shard);

  void Start();
  // From now on nothing is announced: shards are about to go. Does not block.
  void NoteStopping() { stopping_ = true; }
  // Waits for a look that is under way.
  void Stop();

  const RoomKeeper& keeper() const { return keeper_; }

 private:
  class HomeSession : public quota::SessionSource {
   public:
    explicit HomeSession(quota::Balancer* balancer) : balancer_(balancer) {}
    std::shared_ptr<quota::Coordination> Session() override { return balancer_->Session(); }

   private:
    quota::Balancer* const balancer_;
  };

  void Tick();

  std::atomic<bool> stopping_ = false;
  storage::PostgresFrontLedger policies_;
  HomeSession session_;
  SaleFinder sales_;
  RoomKeeper keeper_;
  std::unique_ptr<PeriodicTask> task_;  // last: it uses the others
};

}  // namespace tranche::server
