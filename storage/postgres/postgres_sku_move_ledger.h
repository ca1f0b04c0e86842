// Moves of SKUs between shards on PostgreSQL.
#pragma once

#include <string>
#include <vector>

#include "storage/ledger/sku_move_ledger.h"
#include "storage/postgres/connection_pool.h"

namespace tranche::storage {

// Thread-safe. Outlived by the pool.
class PostgresSkuMoveLedger : public SkuMoveLedger {
 public:
  explicit PostgresSkuMoveLedger(ConnectionPool* pool) : pool_(pool) {}

  absl::StatusOr<SkuWhereabouts> Where(const std::string& sku_id) override;
  absl::StatusOr<std::vector<ListedWhereabouts>> ListWhereabouts(const std::string& after, int limit) override;

  absl::StatusOr<PreparedLeave> PrepareLeave(const std::string& sku_id, const std::string& token) override;
  absl::StatusOr<std::string> Snapshot() override;
  absl::Status BeginLeave(const std::string& sku_id, const std::string& token, const std::string& target,
                          const Actor& actor) override;
  absl::StatusOr<SkuPage> ExportPage(const std::string& sku_id, SkuPart part, const std::string& since,
                                     const PageCursor& after, int limit) override;
  absl::StatusOr<ExportedSku> ExportSku(const std::string& sku_id, const std::string& token) override;
  absl::StatusOr<bool> CancelLeave(const std::string& sku_id, const std::string& token, const Actor& actor) override;
  absl::Status FinishLeave(const std::string& sku_id, const std::string& target, const std::string& token,
                           const Actor& actor) override;
  absl::StatusOr<bool> GiveUpOlderCopy(const std::string& sku_id, const std::string& shard, int64_t moves,
                                       const Actor& actor) override;
  absl::Status BeginArrival(const std::string& sku_row, const std::string& source, const std::string& token) override;
  absl::Status ImportPage(const std::string& sku_id, const std::string& token, SkuPart part,
                          const std::string& rows) override;
  absl::Status FinishArrival(const ExportedSku& sku, const std::string& token, const Actor& actor) override;
  absl::StatusOr<bool> CancelArrival(const std::string& sku_id) override;
  absl::StatusOr<int64_t> Purge(const std::string& sku_id, int limit) override;
  absl::Status NoteWhereabouts(const std::string& sku_id, const std::string& shard) override;

 private:
  ConnectionPool* const pool_;
};

}  // namespace tranche::storage
