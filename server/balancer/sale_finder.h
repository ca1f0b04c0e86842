// Finds a SKU at whichever shard has it, and says how its sale stands.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/balancer/room_pacer.h"
#include "storage/clock.h"
#include "storage/ledger/sku_ledger.h"

namespace tranche::server {

// AddShard may be called from any thread; Find from one at a time.
class SaleFinder {
 public:
  // `home` and `clock` outlive it.
  SaleFinder(storage::SkuLedger* home, const storage::Clock* clock) : home_(home), clock_(clock) {}

  // From now on the shard is asked, too, as long as its ledger exists. Replaces one of the same name.
  void AddShard(const std::string& name, std::weak_ptr<storage::SkuLedger> ledger);

  // Asks the shard that had the SKU last, then the others. Blocks. nullopt: all were asked, and none has it; a shard
  // that was never added is not known here. Otherwise the error of one that may have it.
  absl::StatusOr<std::optional<RoomSale>> Find(const std::string& sku_id);

 private:
  std::map<std::string, std::weak_ptr<storage::SkuLedger>> Shards();
  RoomSale SaleOf(const storage::Sku& sku) const;

  storage::SkuLedger* const home_;
  const storage::Clock* const clock_;
  std::map<std::string, std::string> found_at_;  // shards by sku_id; bounded

  absl::Mutex mutex_;
  std::map<std::string, std::weak_ptr<storage::SkuLedger>> shards_ ABSL_GUARDED_BY(mutex_);  // without home
};

}  // namespace tranche::server
