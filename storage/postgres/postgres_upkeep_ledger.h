// The ledger's upkeep on PostgreSQL: calls the procedures of storage/sql.
#pragma once

#include "storage/ledger/upkeep_ledger.h"
#include "storage/postgres/connection_pool.h"

namespace tranche::storage {

// Thread-safe. Outlived by the pool.
class PostgresUpkeepLedger : public UpkeepLedger {
 public:
  explicit PostgresUpkeepLedger(ConnectionPool* pool) : pool_(pool) {}

  absl::StatusOr<ExpiredHolds> ExpireDue(int limit) override;
  absl::StatusOr<int64_t> RetireReservations(absl::Duration age, int limit, Retired retired) override;

 private:
  ConnectionPool* const pool_;
};

}  // namespace tranche::storage
