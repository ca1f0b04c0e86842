#include "quota/coordination/quota_mover.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "glog/logging.h"
#include "storage/base/status_macros.h"

namespace tranche::quota {

namespace {

using storage::QuotaDelta;
using storage::QuotaMove;
using storage::SkuQuota;

void AddSlices(const QuotaMove& move, const storage::QuotaSnapshot& quota, std::vector<SliceToAnnounce>* slices) {
  for (const QuotaDelta& delta : move.deltas) {
    // Slices ascend by holder; there may be a thousand slices, and a few deltas.
    const auto slice = std::lower_bound(quota.slices.begin(), quota.slices.end(), delta.holder,
                                        [](const storage::HeldSlice& a, auto holder) { return a.holder < holder; });
    if (slice == quota.slices.end() || slice->holder != delta.holder) continue;  // an incarnation that has ended
    slices->push_back({slice->holder, move.sku_id, slice->allotted, slice->version});
  }
}

bool TakesFromPool(const QuotaMove& move) {
  int64_t sum = 0;
  for (const QuotaDelta& delta : move.deltas) sum += delta.units;
  return sum > 0;
}

}  // namespace

absl::StatusOr<QuotaMover::Moved> QuotaMover::MoveBatch(absl::Span<const QuotaMove> moves,
                                                        const storage::Actor& actor) {
  ASSIGN_OR_RETURN(std::vector<absl::StatusOr<SkuQuota>> moved, ledger_->MoveUnitsBatch(moves, actor));
  const absl::Time committed_at = clock_->Now();
  std::vector<SkuToAnnounce> skus;
  std::vector<SliceToAnnounce> slices;
  for (size_t i = 0; i < moves.size(); ++i) {
    const absl::StatusOr<SkuQuota>& after = moved[i];
    if (!after.ok()) continue;
    skus.push_back({after->sku, /*always=*/TakesFromPool(moves[i])});
    AddSlices(moves[i], after->quota, &slices);
  }
  std::vector<AnnouncedElsewhere> elsewhere;
  const absl::Status announced = announcer_->Announce(skus, slices, nullptr, nullptr, &elsewhere);
  LOG_IF(WARNING, !announced.ok()) << "quota of " << skus.size() << " SKUs moved but not announced, left to the "
                                   << "balancer's repair: " << announced.message();
  // Somebody may set the clock meanwhile.
  const absl::Duration announcing = std::max(clock_->Now() - committed_at, absl::ZeroDuration());
  return Moved{std::move(moved), announced, announcing, !elsewhere.empty()};
}

absl::StatusOr<storage::QuotaSnapshot> QuotaMover::Move(const std::string& sku_id, absl::Span<const QuotaDelta> deltas,
                                                        std::optional<int64_t> expected_quota_version,
                                                        const storage::Actor& actor) {
  const QuotaMove move{sku_id, {deltas.begin(), deltas.end()}, expected_quota_version};
  ASSIGN_OR_RETURN(auto moved, MoveBatch({&move, 1}, actor));
  absl::StatusOr<SkuQuota>& after = moved.skus.front();
  if (!after.ok()) return after.status();
  return std::move(after->quota);
}

}  // namespace tranche::quota
