// Since when pools that should be handed out have not been touched. The ledger does not keep it: its hot rows have no
// times. So whoever looks remembers what they saw.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/ledger/health_ledger.h"

namespace tranche::server {

// Thread-safe. Remembers what the ledger tells, which is a few pools of each shard.
class PoolWatch {
 public:
  // For each of the shard's pools, in their order: for how long they have been seen as they are now. Zero at the first
  // look. Forgets the pools that are not among them.
  std::vector<absl::Duration> Untouched(const std::string& shard, const std::vector<storage::WaitingPool>& pools,
                                        absl::Time now);

 private:
  struct Seen {
    int64_t version = 0;
    absl::Time since;
  };

  absl::Mutex mutex_;
  std::map<std::string, std::map<std::string, Seen>> shards_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::server
