#include "quota/balancer/round/pool_step.h"

#include <algorithm>
#include <vector>

#include "quota/balancer/allocation.h"
#include "storage/base/status_macros.h"

namespace tranche::quota {

absl::Status PoolStep::Run() {
  if (context_.nodes.sharers().empty()) return absl::OkStatus();
  const auto plan = [&](const storage::SkuQuota& now) -> std::vector<storage::QuotaDelta> {
    if (now.sku.closed || now.sku.quota_frozen || !now.sku.presplit) return {};
    return SharePool(now.quota, context_.nodes.sharers());
  };
  absl::Status status;
  size_t left = context_.mover.SkusToChange();
  while (left > 0) {
    const size_t limit = std::min<size_t>(left, storage::kMaxQuotaBatch);
    ASSIGN_OR_RETURN(const auto skus, context_.ledger.ListPooledSkus(after_sku_, static_cast<int>(limit)));
    left -= skus.size();
    status.Update(context_.mover.MoveUnitsOf(skus, MoveReason::kPool, plan));
    after_sku_ = skus.size() < limit ? "" : skus.back();
    if (after_sku_.empty()) return status;
  }
  context_.inbox.Again();
  return status;
}

}  // namespace tranche::quota
