// The ledger on PostgreSQL: calls the procedures of storage/sql and turns their rows into values.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "storage/ledger/reservation_ledger.h"
#include "storage/ledger/stock_ledger.h"
#include "storage/postgres/connection_pool.h"

namespace tranche::storage {

// Thread-safe. Outlived by the pool.
class PostgresLedger : public ReservationLedger {
 public:
  explicit PostgresLedger(ConnectionPool* pool) : pool_(pool) {}

  absl::StatusOr<std::vector<CommitResult>> CommitReservations(IncarnationId incarnation, LockMode mode,
                                                               absl::Span<const ReservationClaim> claims) override;
  absl::StatusOr<Reservation> FindReservation(const Uuid& reservation_id) override;
  absl::StatusOr<std::vector<Reservation>> FindReplicated(absl::Span<const Uuid> reservation_ids) override;

 private:
  ConnectionPool* const pool_;
};

// Thread-safe. Outlived by the pool.
class PostgresStockLedger : public StockLedger {
 public:
  // `shard` is set in every SKU that is read.
  explicit PostgresStockLedger(ConnectionPool* pool, std::string shard = kHomeShard)
      : PostgresStockLedger(pool, pool, std::move(shard)) {}
  // `verify_pool` lets a statement run for as long as it takes to verify a SKU with millions of reservations.
  PostgresStockLedger(ConnectionPool* pool, ConnectionPool* verify_pool, std::string shard)
      : pool_(pool), verify_pool_(verify_pool), shard_(std::move(shard)) {}

  absl::StatusOr<Sku> CreateSku(const Sku& sku, const Actor& actor) override;
  absl::StatusOr<Sku> GetSku(const std::string& sku_id) override;
  absl::StatusOr<std::vector<Sku>> ListSkus(const std::string& after, int limit) override;
  absl::StatusOr<Sku> CloseSku(const std::string& sku_id, const Actor& actor) override;
  absl::StatusOr<Sku> ReopenSku(const std::string& sku_id, const Actor& actor) override;
  absl::StatusOr<Sku> SetSkuPaused(const std::string& sku_id, bool paused, const std::string& reason,
                                   std::optional<int64_t> expected_terms_version, const Actor& actor) override;
  absl::StatusOr<Sku> UpdateSku(const Sku& sku, const Actor& actor) override;
  absl::StatusOr<Sku> AddStock(const std::string& sku_id, int64_t units, std::optional<int64_t> expected_stock,
                               const Actor& actor) override;
  absl::StatusOr<ReducedStock> ReduceStock(const std::string& sku_id, int64_t units,
                                           std::optional<int64_t> expected_stock, const Actor& actor) override;
  absl::StatusOr<Sku> SetQuotaFrozen(const std::string& sku_id, bool frozen, const Actor& actor) override;
  absl::StatusOr<Sku> RaiseVersion(const std::string& sku_id, int64_t above, const Actor& actor) override;
  absl::StatusOr<std::vector<SkuQuota>> ReadQuotas(absl::Span<const std::string> sku_ids) override;
  absl::StatusOr<std::vector<absl::StatusOr<SkuQuota>>> MoveUnitsBatch(absl::Span<const QuotaMove> moves,
                                                                       const Actor& actor) override;
  absl::StatusOr<PoolTake> TakeFromPool(const PoolRequest& request) override;
  absl::StatusOr<std::vector<std::string>> ListPooledSkus(const std::string& after, int limit) override;
  absl::StatusOr<std::vector<std::string>> ListReturnedSkus(const std::string& after, int limit) override;
  absl::Status AckReturnedSkus(absl::Span<const std::pair<std::string, int64_t>> announced) override;
  absl::StatusOr<std::vector<std::pair<std::string, HeldSlice>>> ListSlices(IncarnationId incarnation) override;
  absl::StatusOr<IncarnationId> RegisterIncarnation(const std::string& node_name, const std::string& address,
                                                    bool draining = false) override;
  absl::StatusOr<std::vector<Incarnation>> ListLiveIncarnations() override;
  absl::StatusOr<Incarnation> SetDraining(IncarnationId incarnation, bool draining, const Actor& actor,
                                          const DrainTelling& telling = {}) override;
  absl::StatusOr<std::vector<std::string>> ReclaimIncarnation(IncarnationId incarnation) override;
  absl::StatusOr<std::vector<AuditEntry>> ListAudit(const AuditFilter& filter, int64_t before, int limit) override;
  absl::StatusOr<int64_t> BeginAudit(const AuditNote& note) override;
  absl::StatusOr<bool> EndAudit(int64_t id, const std::string& result) override;
  absl::StatusOr<VerifyReport> Verify(const std::string& sku_id) override;
  absl::StatusOr<VerifyReport> VerifyPage(const VerifyPosition& after, int max_skus) override;
  absl::StatusOr<LedgerMark> Mark(const std::optional<LedgerMark>& earlier) override;
  absl::StatusOr<IncarnationId> BeginHistory(IncarnationId above, const Actor& actor) override;
  absl::Status SetClusterFrozen(bool frozen, const Actor& actor) override;
  absl::Status SetClaimsPaused(bool paused, const Actor& actor) override;
  absl::StatusOr<ClusterSettings> ReadClusterSettings() override;

 private:
  absl::StatusOr<VerifyReport> ReadVerified(const std::string& sku_id, const std::string& after, int max_skus);
  absl::StatusOr<Sku> ReadChanged(const std::string& sku_id);
  Sku AtShard(Sku sku) const;

  ConnectionPool* const pool_;
  ConnectionPool* const verify_pool_;
  const std::string shard_;
};

}  // namespace tranche::storage
