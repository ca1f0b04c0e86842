#include "quota/quota_mover.h"

#include <vector>

#include "glog/logging.h"

namespace tranche::quota {

absl::StatusOr<storage::QuotaSnapshot> QuotaMover::Move(const std::string& sku_id,
                                                        absl::Span<const storage::QuotaDelta> deltas,
                                                        std::optional<int64_t> expected_quota_version,
                                                        const std::string& actor) {
  absl::StatusOr<storage::QuotaSnapshot> quota = ledger_->MoveUnits(sku_id, deltas, expected_quota_version, actor);
  if (!quota.ok()) return quota;

  std::vector<SliceToAnnounce> slices;
  for (const storage::QuotaDelta& delta : deltas) {
    for (const storage::Slice& slice : quota->slices) {
      if (slice.holder == delta.holder) slices.push_back({slice.holder, sku_id, slice.allotted, slice.version});
    }
  }
  // The terms first: a node cannot sell a slice whose terms it does not find. They are there but for a new SKU's
  // moment.
  const absl::StatusOr<storage::Sku> sku = ledger_->GetSku(sku_id);
  absl::Status announced = sku.ok() ? announcer_->AnnounceSkus({*sku}) : sku.status();
  announced.Update(announcer_->AnnounceSlices(slices));
  LOG_IF(WARNING, !announced.ok()) << "quota of " << sku_id << " moved (" << actor
                                   << ") but not announced, left to the balancer's repair: " << announced.message();
  return quota;
}

}  // namespace tranche::quota
