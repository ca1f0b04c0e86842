// One object per shard besides home, as home lists them: a balancer, a worker. While home is down, existing ones go on.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "glog/logging.h"
#include "server/process/periodic_task.h"
#include "storage/ledger/shard_ledger.h"

namespace tranche::server {

class ShardUnits {
 public:
  // Null: it cannot be made now and is tried again soon. Called on a thread of this class, one call at a time.
  using Make = std::function<std::shared_ptr<void>(const storage::Shard& shard)>;

  // `home` outlives it. Destruction destroys the units.
  ShardUnits(storage::ShardLedger* home, Make make)
      : home_(home), make_(std::move(make)), task_(absl::Seconds(1), [this] { Refresh(); }) {}

 private:
  struct Unit {
    std::string dsn;
    std::shared_ptr<void> unit;
  };

  void Refresh() {
    const auto shards = home_->ListShards();
    if (!shards.ok()) return;
    for (const storage::Shard& shard : *shards) {
      Unit& known = units_[shard.name];
      if (known.unit != nullptr && known.dsn == shard.dsn) continue;
      known.unit.reset();
      known = {shard.dsn, make_(shard)};
      LOG_IF(INFO, known.unit != nullptr) << "serves shard " << shard.name << " from now on";
    }
  }

  storage::ShardLedger* const home_;
  const Make make_;
  std::map<std::string, Unit> units_;  // only on the task's thread
  PeriodicTask task_;                  // last: it uses the others
};

}  // namespace tranche::server
