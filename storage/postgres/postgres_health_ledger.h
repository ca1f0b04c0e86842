// The ledger's health on PostgreSQL: calls the procedures of storage/sql.
#pragma once

#include <string>
#include <vector>

#include "storage/ledger/health_ledger.h"
#include "storage/postgres/connection_pool.h"

namespace tranche::storage {

// Thread-safe. Outlived by the pool.
class PostgresHealthLedger : public HealthLedger {
 public:
  explicit PostgresHealthLedger(ConnectionPool* pool) : pool_(pool) {}

  absl::Status Beat(const Heartbeat& heartbeat) override;
  absl::Status EndBeat(Heartbeat::Kind kind, const Uuid& instance) override;
  absl::StatusOr<std::vector<Heartbeat>> Heartbeats() override;
  absl::Status Ping() override;
  absl::StatusOr<LedgerHealth> Health() override;
  absl::StatusOr<std::vector<GoneIncarnation>> GoneIncarnations(absl::Span<const IncarnationId> serving) override;
  absl::StatusOr<std::vector<SkuHolds>> CountHolds(absl::Span<const std::string> sku_ids) override;

 private:
  ConnectionPool* const pool_;
};

}  // namespace tranche::storage
