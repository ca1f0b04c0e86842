// Can this process use a shard that home lists? Asked when it begins to: at its start, or when the shard is added.
#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "storage/ledger/shard_ledger.h"
#include "storage/postgres/connection_limits.h"
#include "storage/postgres/connection_pool.h"

namespace tranche::server {

// Not thread-safe.
class ShardCheck {
 public:
  // `pool`: how the process connects to home. `needs`: of each shard's server.
  ShardCheck(storage::PoolOptions pool, storage::ConnectionNeeds needs);

  // kFailedPrecondition: its schema and this version do not fit together, it is not this home's shard of that name, it
  // gives too few connections, or a pooler swaps its sessions. Other errors: it cannot be asked now. In both cases ask
  // again later; the log says at most once a minute which shard it is and what to do. Once a shard was found to fit, it
  // is not asked again at the same DSN.
  absl::Status Check(const storage::Shard& shard);

 private:
  struct Seen {
    std::string dsn;
    bool fits = false;
    absl::Time tell_at = absl::InfinitePast();
  };

  absl::Status Ask(const storage::Shard& shard) const;
  absl::Status RequireOurs(const std::string& name, storage::ShardLedger& ledger) const;

  const storage::PoolOptions pool_;
  const storage::ConnectionNeeds needs_;
  std::map<std::string, Seen> seen_;  // by name
};

}  // namespace tranche::server
