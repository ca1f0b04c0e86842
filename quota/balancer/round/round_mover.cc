#include "quota/balancer/round/round_mover.h"

#include <algorithm>
#include <utility>

#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::quota {
namespace {

using storage::kMaxQuotaBatch;
using storage::QuotaDelta;
using storage::QuotaMove;
using storage::SkuQuota;

constexpr char kBalancerActor[] = "balancer";

// The most SKUs per round whose demand is looked at or whose pools are shared, and the most slices it may read or
// change.
constexpr size_t kSkusPerRound = 256;
constexpr size_t kSlicesReadPerRound = 16384;
constexpr size_t kSlicesChangedPerRound = 2048;

}  // namespace

bool RoundMover::Exhausted() const { return slices_changed_ >= kSlicesChangedPerRound; }

size_t RoundMover::SkusToRead() const { return SkusPerRound(kSlicesReadPerRound); }

size_t RoundMover::SkusToChange() const { return SkusPerRound(kSlicesChangedPerRound); }

// If each SKU has a slice on every receiver.
size_t RoundMover::SkusPerRound(size_t slices) const {
  return std::clamp<size_t>(slices / std::max<size_t>(1, nodes_.receivers().size()), 1, kSkusPerRound);
}

absl::Status RoundMover::MoveUnitsOf(absl::Span<const std::string> sku_ids, Plan plan) {
  absl::Status status;
  for (size_t begin = 0; begin < sku_ids.size(); begin += kMaxQuotaBatch) {
    ASSIGN_OR_RETURN(const auto quotas, ledger_->ReadQuotas(sku_ids.subspan(begin, kMaxQuotaBatch)));
    std::vector<QuotaMove> moves;
    for (const SkuQuota& now : quotas) {
      std::vector<QuotaDelta> deltas = plan(now);
      if (!deltas.empty()) moves.push_back({now.sku.sku_id, std::move(deltas), now.quota.quota_version});
    }
    status.Update(Move(moves));
  }
  return status;
}

// Takes one batch at most.
absl::Status RoundMover::Move(absl::Span<const QuotaMove> moves) {
  if (moves.empty()) return absl::OkStatus();
  for (const QuotaMove& move : moves) slices_changed_ += move.deltas.size();
  const auto moved = mover_.MoveBatch(moves, kBalancerActor);
  if (!moved.ok()) {
    // The move may have been made, and then it must be announced.
    if (storage::IsUnknownCommit(moved.status())) repair_.Soon();
    return moved.status();
  }
  absl::Status status;
  for (const auto& sku : moved->skus) {
    if (!sku.ok() && !absl::IsAborted(sku.status()) && !absl::IsNotFound(sku.status())) status.Update(sku.status());
  }
  // Moved and not announced: repair it as soon as ZooKeeper answers.
  if (!moved->announced.ok()) repair_.Soon();
  status.Update(moved->announced);
  return status;
}

}  // namespace tranche::quota
