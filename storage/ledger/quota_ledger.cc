#include "storage/ledger/quota_ledger.h"

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"

namespace tranche::storage {

absl::StatusOr<QuotaSnapshot> QuotaLedger::ReadQuota(const std::string& sku_id) {
  ASSIGN_OR_RETURN(auto quotas, ReadQuotas(absl::MakeConstSpan(&sku_id, 1)));
  if (quotas.empty()) return absl::NotFoundError(absl::StrCat("no SKU ", sku_id));
  return std::move(quotas.front().quota);
}

absl::StatusOr<QuotaSnapshot> QuotaLedger::MoveUnits(const std::string& sku_id, absl::Span<const QuotaDelta> deltas,
                                                     std::optional<int64_t> expected_quota_version,
                                                     const Actor& actor) {
  const QuotaMove move{sku_id, {deltas.begin(), deltas.end()}, expected_quota_version};
  ASSIGN_OR_RETURN(auto moved, MoveUnitsBatch(absl::MakeConstSpan(&move, 1), actor));
  CHECK_EQ(moved.size(), 1u) << "one result per move";
  if (!moved.front().ok()) return moved.front().status();
  return std::move(moved.front()->quota);
}

}  // namespace tranche::storage
