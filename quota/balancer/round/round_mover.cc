#include "quota/balancer/round/round_mover.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::quota {
namespace {

using storage::kMaxQuotaBatch;
using storage::QuotaDelta;
using storage::QuotaMove;
using storage::SkuQuota;

// The most SKUs per round whose demand is looked at or whose pools are shared, and the most slices it may read or
// change.
constexpr size_t kSkusPerRound = 256;
constexpr size_t kSlicesReadPerRound = 16384;
constexpr size_t kSlicesChangedPerRound = 2048;

// How long a SKU that is locked is put aside; how often the ledger may keep a round waiting for locks: then what may be
// locked, too, is left to the next one.
constexpr absl::Duration kPutAside = absl::Seconds(1);
constexpr int kMostWaitsInVain = 4;
// One that nobody wanted to move any more is forgotten.
constexpr absl::Duration kForgetAfter = absl::Minutes(1);

// That get another holder: another node, or the pool.
int64_t UnitsOf(const QuotaMove& move) {
  int64_t withdrawn = 0, deposited = 0;
  for (const QuotaDelta& delta : move.deltas) (delta.units < 0 ? withdrawn : deposited) += std::abs(delta.units);
  return std::max(withdrawn, deposited);
}

}  // namespace

void RoundMover::BeginRound() {
  slices_changed_ = 0;
  waited_in_vain_ = 0;
  if (aside_.empty()) return;
  const absl::Time now = clock_.Now();
  std::erase_if(aside_, [now](const auto& entry) { return entry.second + kForgetAfter < now; });
}

bool RoundMover::Exhausted() const { return slices_changed_ >= kSlicesChangedPerRound; }

size_t RoundMover::SkusToRead() const { return SkusPerRound(kSlicesReadPerRound); }

size_t RoundMover::SkusToChange() const { return SkusPerRound(kSlicesChangedPerRound); }

// If each SKU has a slice on every receiver.
size_t RoundMover::SkusPerRound(size_t slices) const {
  return std::clamp<size_t>(slices / std::max<size_t>(1, nodes_.receivers().size()), 1, kSkusPerRound);
}

absl::Status RoundMover::MoveUnitsOf(absl::Span<const std::string> sku_ids, MoveReason reason, Plan plan,
                                     std::vector<std::string>* left) {
  absl::Status status;
  std::vector<std::string> locked;
  for (size_t begin = 0; begin < sku_ids.size(); begin += kMaxQuotaBatch) {
    ASSIGN_OR_RETURN(const auto quotas, ledger_->ReadQuotas(sku_ids.subspan(begin, kMaxQuotaBatch)));
    std::vector<QuotaMove> moves;
    for (const SkuQuota& now : quotas) {
      if (repair_.IsOpen(now.sku.sku_id)) continue;
      observer_.OnSku(now.sku);
      std::vector<QuotaDelta> deltas = plan(now);
      if (!deltas.empty()) moves.push_back({now.sku.sku_id, std::move(deltas), now.quota.quota_version});
    }
    status.Update(MoveOrPutAside(std::move(moves), reason, locked));
  }
  if (left != nullptr) *left = std::move(locked);
  return status;
}

absl::StatusOr<std::vector<std::string>> RoundMover::SkusOf(storage::IncarnationId incarnation) {
  ASSIGN_OR_RETURN(const auto slices, ledger_->ListSlices(incarnation));
  std::vector<std::string> held;
  for (const auto& [sku_id, slice] : slices) {
    if (slice.remaining > 0) held.push_back(sku_id);
  }
  return held;
}

absl::StatusOr<std::string> RoundMover::FindFrozen(storage::IncarnationId incarnation) {
  ASSIGN_OR_RETURN(const std::vector<std::string> held, SkusOf(incarnation));
  const absl::Span<const std::string> all(held);
  for (size_t begin = 0; begin < all.size(); begin += kMaxQuotaBatch) {
    ASSIGN_OR_RETURN(const auto quotas, ledger_->ReadQuotas(all.subspan(begin, kMaxQuotaBatch)));
    for (const SkuQuota& now : quotas) {
      if (now.sku.quota_frozen) return now.sku.sku_id;
    }
  }
  return std::string();
}

absl::Status RoundMover::TakeBack(storage::IncarnationId incarnation, MoveReason reason,
                                  std::vector<std::string>* left) {
  ASSIGN_OR_RETURN(const std::vector<std::string> held, SkusOf(incarnation));
  return MoveUnitsOf(
      held, reason,
      [incarnation](const SkuQuota& now) -> std::vector<QuotaDelta> {
        if (now.sku.quota_frozen) return {};
        for (const storage::HeldSlice& slice : now.quota.slices) {
          if (slice.holder == incarnation && slice.remaining > 0) return {QuotaDelta{incarnation, -slice.remaining}};
        }
        return {};
      },
      left);
}

absl::Status RoundMover::MoveOrPutAside(Moves moves, MoveReason reason, std::vector<std::string>& left) {
  const auto by_itself = std::stable_partition(moves.begin(), moves.end(),
                                               [&](const auto& move) { return !aside_.contains(move.sku_id); });
  Moves alone(std::make_move_iterator(by_itself), std::make_move_iterator(moves.end()));
  moves.erase(by_itself, moves.end());
  absl::Status status = Move(moves, reason);
  if (storage::FoundLocked(status)) {
    ++waited_in_vain_;
    status = absl::OkStatus();
    alone.insert(alone.end(), std::make_move_iterator(moves.begin()), std::make_move_iterator(moves.end()));
  }
  for (const QuotaMove& move : alone) status.Update(MoveByItself(move, reason, left));
  return status;
}

absl::Status RoundMover::MoveByItself(const QuotaMove& move, MoveReason reason, std::vector<std::string>& left) {
  const auto known = aside_.find(move.sku_id);
  const bool early = known != aside_.end() && clock_.Now() < known->second;
  if (early || waited_in_vain_ >= kMostWaitsInVain) {
    left.push_back(move.sku_id);
    return absl::OkStatus();
  }
  const absl::Status status = Move({&move, 1}, reason);
  if (storage::FoundLocked(status)) {
    ++waited_in_vain_;
    left.push_back(move.sku_id);
    LOG_IF(WARNING, known == aside_.end())
        << "no units of " << move.sku_id << " are moved while another transaction locks the SKU or its slots: find it "
        << "with pg_blocking_pids() in pg_stat_activity. Others are moved (" << status.message() << ")";
    aside_[move.sku_id] = clock_.Now() + kPutAside;
    return absl::OkStatus();
  }
  if (known != aside_.end()) {
    LOG(INFO) << "units of " << move.sku_id << " are moved again";
    aside_.erase(known);
  }
  return status;
}

absl::Status RoundMover::Move(absl::Span<const QuotaMove> moves, MoveReason reason) {
  if (moves.empty()) return absl::OkStatus();
  for (const QuotaMove& move : moves) slices_changed_ += move.deltas.size();
  const auto moved = mover_.MoveBatch(moves, kAutomatic);
  if (!moved.ok()) {
    // The move may have been made, and then it must be announced.
    if (storage::IsUnknownCommit(moved.status())) repair_.Soon();
    return moved.status();
  }
  Count(moves, *moved, reason);
  absl::Status status;
  for (const auto& sku : moved->skus) {
    if (!sku.ok() && !absl::IsAborted(sku.status()) && !absl::IsNotFound(sku.status())) status.Update(sku.status());
  }
  // Moved and not announced: repair it as soon as ZooKeeper answers, or find out whose copy counts.
  if (!moved->announced.ok() || moved->elsewhere) repair_.Soon();
  status.Update(moved->announced);
  return status;
}

void RoundMover::Count(absl::Span<const QuotaMove> moves, const QuotaMover::Moved& moved, MoveReason reason) {
  MoveCounts& counts = counts_.moved[static_cast<size_t>(reason)];
  for (size_t i = 0; i < moves.size(); ++i) {
    if (!moved.skus[i].ok()) continue;
    counts.moves.Add();
    counts.units.Add(UnitsOf(moves[i]));
  }
  if (moved.announced.ok()) {
    counts_.announcement_time.Observe(moved.announcing);
  } else {
    counts_.announcements_failed.Add();
  }
}

}  // namespace tranche::quota
