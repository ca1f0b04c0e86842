// A ledger that counts the calls that pass through it.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/ledger/stock_ledger.h"
#include "tests/scale/traffic.h"

namespace tranche::testing {

// Outlived by `inner` and `traffic`.
class CountingLedger : public storage::StockLedger {
 public:
  CountingLedger(storage::StockLedger* inner, Traffic* traffic) : inner_(inner), traffic_(traffic) {}

  absl::StatusOr<storage::Sku> CreateSku(const storage::Sku& sku, const std::string& actor) override;
  absl::StatusOr<storage::Sku> GetSku(const std::string& sku_id) override;
  absl::StatusOr<std::vector<storage::Sku>> ListSkus(const std::string& after, int limit) override;
  absl::StatusOr<storage::Sku> CloseSku(const std::string& sku_id, const std::string& actor) override;
  absl::StatusOr<storage::Sku> AddStock(const std::string& sku_id, int64_t units, std::optional<int64_t> expected_stock,
                                        const std::string& actor) override;
  absl::StatusOr<storage::ReducedStock> ReduceStock(const std::string& sku_id, int64_t units,
                                                    std::optional<int64_t> expected_stock,
                                                    const std::string& actor) override;
  absl::StatusOr<storage::Sku> SetQuotaFrozen(const std::string& sku_id, bool frozen,
                                              const std::string& actor) override;
  absl::StatusOr<std::vector<storage::SkuQuota>> ReadQuotas(absl::Span<const std::string> sku_ids) override;
  absl::StatusOr<std::vector<absl::StatusOr<storage::SkuQuota>>> MoveUnitsBatch(
      absl::Span<const storage::QuotaMove> moves, const std::string& actor) override;
  absl::StatusOr<std::vector<std::string>> ListPooledSkus(const std::string& after, int limit) override;
  absl::StatusOr<std::vector<std::string>> ListReturnedSkus(const std::string& after, int limit) override;
  absl::Status AckReturnedSkus(absl::Span<const std::pair<std::string, int64_t>> announced) override;
  absl::StatusOr<std::vector<std::pair<std::string, storage::Slice>>> ListSlices(
      storage::IncarnationId incarnation) override;
  absl::StatusOr<storage::IncarnationId> RegisterIncarnation(const std::string& node_name, const std::string& address,
                                                             bool draining) override;
  absl::StatusOr<std::vector<storage::Incarnation>> ListLiveIncarnations() override;
  absl::StatusOr<storage::Incarnation> SetDraining(storage::IncarnationId incarnation, bool draining,
                                                   const std::string& actor) override;
  absl::StatusOr<std::vector<std::string>> ReclaimIncarnation(storage::IncarnationId incarnation) override;
  absl::StatusOr<std::vector<storage::AuditEntry>> ListAudit(const std::string& sku_id, int64_t before,
                                                             int limit) override;
  absl::StatusOr<storage::VerifyReport> Verify(const std::string& sku_id) override;

 private:
  storage::StockLedger* const inner_;
  Traffic* const traffic_;
};

}  // namespace tranche::testing
