// The stock ledgers of all shards as one: for the node's agent and for admin calls. Blocks, unlike ShardRouter; a shard
// that is known not to answer is not waited for.
//
// A SKU is where somebody says that it is: home is asked first, then the others.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "storage/ledger/stock_ledger.h"
#include "storage/shards/shard_set.h"

namespace tranche::storage {

// Thread-safe. Outlived by the shards.
class RoutingStockLedger : public StockLedger {
 public:
  explicit RoutingStockLedger(ShardSet* shards) : shards_(shards) {}

  // On the shard that the SKU names; the id is taken at home first, so that it is one SKU's over all shards. An error
  // of IsNoSuchShard when there is none of that name.
  absl::StatusOr<Sku> CreateSku(const Sku& sku, const std::string& actor) override;
  absl::StatusOr<Sku> GetSku(const std::string& sku_id) override;
  absl::StatusOr<std::vector<Sku>> ListSkus(const std::string& after, int limit) override;
  absl::StatusOr<Sku> CloseSku(const std::string& sku_id, const std::string& actor) override;
  absl::StatusOr<Sku> AddStock(const std::string& sku_id, int64_t units, std::optional<int64_t> expected_stock,
                               const std::string& actor) override;
  absl::StatusOr<ReducedStock> ReduceStock(const std::string& sku_id, int64_t units,
                                           std::optional<int64_t> expected_stock, const std::string& actor) override;
  absl::StatusOr<Sku> SetQuotaFrozen(const std::string& sku_id, bool frozen, const std::string& actor) override;
  absl::StatusOr<std::vector<SkuQuota>> ReadQuotas(absl::Span<const std::string> sku_ids) override;
  absl::StatusOr<std::vector<absl::StatusOr<SkuQuota>>> MoveUnitsBatch(absl::Span<const QuotaMove> moves,
                                                                       const std::string& actor) override;
  // Home's: each shard's balancer asks its own ledger.
  absl::StatusOr<std::vector<std::string>> ListPooledSkus(const std::string& after, int limit) override;
  absl::StatusOr<std::vector<std::string>> ListReturnedSkus(const std::string& after, int limit) override;
  absl::Status AckReturnedSkus(absl::Span<const std::pair<std::string, int64_t>> skus) override;
  // Of the shards that answer; what the others have of it is returned when they are back.
  absl::StatusOr<std::vector<std::pair<std::string, Slice>>> ListSlices(IncarnationId incarnation) override;

  // Home numbers it and says who is live; the other shards are told as soon as they answer.
  absl::StatusOr<IncarnationId> RegisterIncarnation(const std::string& node_name, const std::string& address,
                                                    bool draining = false) override;
  absl::StatusOr<std::vector<Incarnation>> ListLiveIncarnations() override;
  absl::StatusOr<Incarnation> SetDraining(IncarnationId incarnation, bool draining, const std::string& actor) override;
  absl::StatusOr<std::vector<std::string>> ReclaimIncarnation(IncarnationId incarnation) override;

  // Home's: ids are one shard's. AuditHandler merges them.
  absl::StatusOr<std::vector<AuditEntry>> ListAudit(const std::string& sku_id, int64_t before, int limit) override;
  absl::StatusOr<VerifyReport> Verify(const std::string& sku_id) override;

 private:
  ShardSet* const shards_;
};

}  // namespace tranche::storage
