// Asks the other shards where a SKU is, on connections of its own: so a shard that hangs delays who asks it, for three
// to five seconds, and nobody else.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "storage/postgres/connection_pool.h"
#include "storage/shards/older_copies.h"

namespace tranche::server {

// Thread-safe. For all balancers of a process: each shard's server is asked on one connection, which is opened when it
// is needed and closed after a minute without use.
class ShardWitnesses {
 public:
  // `pool`: how the process connects to home.
  explicit ShardWitnesses(storage::PoolOptions pool);
  ~ShardWitnesses();

  // All shards that home lists now, and home itself, but for this one. An error if home does not answer.
  absl::StatusOr<std::vector<storage::OlderCopies::OtherShard>> Except(const std::string& shard);

 private:
  struct Witness;

  std::shared_ptr<Witness> Of(const std::string& shard, const std::string& dsn);

  const storage::PoolOptions pool_;
  absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<Witness>> witnesses_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::server
