// The shards' own bookkeeping on PostgreSQL.
#pragma once

#include <string>
#include <vector>

#include "storage/ledger/shard_ledger.h"
#include "storage/postgres/connection_pool.h"

namespace tranche::storage {

// Thread-safe. Outlived by the pool.
class PostgresShardLedger : public ShardLedger {
 public:
  explicit PostgresShardLedger(ConnectionPool* pool) : pool_(pool) {}

  absl::StatusOr<SchemaRange> Schema() override;
  absl::StatusOr<ShardIdentity> Identity() override;
  absl::StatusOr<absl::Time> ReadClock() override;
  absl::StatusOr<std::vector<Shard>> ListShards() override;
  absl::StatusOr<bool> AddShard(const std::string& name, const std::string& dsn, const Actor& actor) override;
  absl::Status ReserveSku(const std::string& sku_id, const std::string& shard) override;
  absl::StatusOr<bool> Adopt(const std::string& name, const std::string& home_id, const std::vector<std::string>& sinks,
                             const Actor& actor) override;
  absl::StatusOr<bool> RegisterIncarnationAs(const Incarnation& incarnation) override;

 private:
  ConnectionPool* const pool_;
};

}  // namespace tranche::storage
