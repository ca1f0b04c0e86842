#include "server/process/shard_witnesses.h"

#include <utility>

#include "storage/base/status_macros.h"
#include "storage/ledger/shard_name.h"
#include "storage/postgres/postgres_shard_ledger.h"
#include "storage/postgres/postgres_sku_move_ledger.h"

namespace tranche::server {
namespace {

constexpr absl::Duration kWitnessPatience = absl::Seconds(1);

}  // namespace

struct ShardWitnesses::Witness {
  Witness(storage::PoolOptions options, const std::string& shard_dsn)
      : dsn(shard_dsn), pool([&] {
          options.dsn = shard_dsn;
          return std::move(options);
        }()) {}

  const std::string dsn;
  storage::ConnectionPool pool;
  storage::PostgresShardLedger shards{&pool};
  storage::PostgresSkuMoveLedger whereabouts{&pool};
};

ShardWitnesses::ShardWitnesses(storage::PoolOptions pool)
    : pool_([&] {
        pool.max_connections = 1;
        pool.statement_timeout = kWitnessPatience;
        pool.acquire_timeout = kWitnessPatience;
        return std::move(pool);
      }()) {}

ShardWitnesses::~ShardWitnesses() = default;

absl::StatusOr<std::vector<storage::OlderCopies::OtherShard>> ShardWitnesses::Except(const std::string& shard) {
  const std::shared_ptr<Witness> home = Of(storage::kHomeShard, pool_.dsn);
  ASSIGN_OR_RETURN(const auto listed, home->shards.ListShards());
  std::vector<storage::OlderCopies::OtherShard> others;
  const auto add = [&](const std::string& name, const std::shared_ptr<Witness>& witness) {
    if (name != shard) others.push_back({name, {witness, &witness->whereabouts}});
  };
  add(storage::kHomeShard, home);
  for (const storage::Shard& other : listed) add(other.name, Of(other.name, other.dsn));
  return others;
}

// Another DSN means that the shard has moved. Who asks the old one goes on with it.
std::shared_ptr<ShardWitnesses::Witness> ShardWitnesses::Of(const std::string& shard, const std::string& dsn) {
  absl::MutexLock lock(&mutex_);
  std::shared_ptr<Witness>& witness = witnesses_[shard];
  if (witness == nullptr || witness->dsn != dsn) witness = std::make_shared<Witness>(pool_, dsn);
  return witness;
}

}  // namespace tranche::server
