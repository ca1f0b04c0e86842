#include "server/handlers/pool_watch.h"

#include <algorithm>

namespace tranche::server {

std::vector<absl::Duration> PoolWatch::Untouched(const std::string& shard,
                                                 const std::vector<storage::WaitingPool>& pools, absl::Time now) {
  absl::MutexLock lock(&mutex_);
  std::map<std::string, Seen>& before = shards_[shard];
  std::map<std::string, Seen> seen;
  std::vector<absl::Duration> untouched;
  for (const storage::WaitingPool& pool : pools) {
    const auto known = before.find(pool.sku_id);
    const bool same = known != before.end() && known->second.version == pool.version;
    const Seen& kept = seen[pool.sku_id] = same ? known->second : Seen{pool.version, now};
    untouched.push_back(std::max(now - kept.since, absl::ZeroDuration()));
  }
  before = std::move(seen);
  return untouched;
}

}  // namespace tranche::server
