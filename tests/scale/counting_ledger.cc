#include "tests/scale/counting_ledger.h"

namespace tranche::testing {

using storage::SkuQuota;

absl::StatusOr<std::vector<absl::StatusOr<SkuQuota>>> CountingLedger::MoveUnitsBatch(
    absl::Span<const storage::QuotaMove> moves, const storage::Actor& actor) {
  auto moved = ForwardingStockLedger::MoveUnitsBatch(moves, actor);
  if (!moved.ok()) return moved;
  for (size_t i = 0; i < moves.size(); ++i) {
    if (!(*moved)[i].ok()) continue;
    ++traffic_->moves;
    traffic_->slots_changed += static_cast<int64_t>(moves[i].deltas.size());
  }
  return moved;
}

absl::StatusOr<std::vector<std::string>> CountingLedger::ReclaimIncarnation(storage::IncarnationId incarnation) {
  auto skus = ForwardingStockLedger::ReclaimIncarnation(incarnation);
  if (skus.ok()) traffic_->slots_changed += static_cast<int64_t>(skus->size());
  return skus;
}

int64_t CountingLedger::RowsIn(const absl::StatusOr<std::vector<SkuQuota>>& quotas) {
  int64_t rows = 0;
  for (const SkuQuota& quota : *quotas) rows += static_cast<int64_t>(quota.quota.slices.size());
  return rows;
}

int64_t CountingLedger::RowsIn(const absl::StatusOr<std::vector<absl::StatusOr<SkuQuota>>>& moved) {
  int64_t rows = 0;
  for (const absl::StatusOr<SkuQuota>& quota : *moved) {
    if (quota.ok()) rows += static_cast<int64_t>(quota->quota.slices.size());
  }
  return rows;
}

}  // namespace tranche::testing
