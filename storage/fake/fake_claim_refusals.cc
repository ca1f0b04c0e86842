// FakeLedger's part for claims that are refused for good: as refuse_claims.sql.
#include <algorithm>
#include <limits>

#include "absl/container/flat_hash_set.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/fake/fake_ledger.h"
#include "storage/ledger/claim_refusal.h"
#include "storage/mutation.h"

namespace tranche::storage {
namespace {

absl::Status CheckRefusals(absl::Span<const ClaimRefusal> batch) {
  CHECK_LE(batch.size(), static_cast<size_t>(kMaxBatch));
  absl::flat_hash_set<Uuid> ids;
  for (const ClaimRefusal& one : batch) {
    if (!ids.insert(one.claim.reservation_id).second) {
      return absl::InvalidArgumentError("reservation ids of a batch must be distinct");
    }
    if (one.claim.quantity < 1) return absl::InvalidArgumentError("quantities must be at least 1");
  }
  return absl::OkStatus();
}

int64_t AmountOf(const Sku& sku, int32_t quantity) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  return sku.price_minor > kMost / quantity ? kMost : sku.price_minor * quantity;
}

}  // namespace

RefuseResult FakeLedger::Refuse(const ClaimRefusal& one) {
  const ReservationClaim& claim = one.claim;
  if (Mutated(Mutation::kRefusesWhatExists) && reservations_.contains(claim.reservation_id)) {
    RemoveRow(claim.reservation_id);
  }
  if (const StoredReservation* stored = FindStored(claim.reservation_id); stored != nullptr) {
    const Reservation& row = stored->reservation;
    if (!IsOf(row, claim)) return {.outcome = RefuseOutcome::kConflict};
    return {.outcome = RefusalOf(row).has_value() ? RefuseOutcome::kReplayed : RefuseOutcome::kSold,
            .reservation = row};
  }
  const auto sku = skus_.find(claim.sku_id);
  if (sku == skus_.end()) return {.outcome = RefuseOutcome::kSkuNotFound};
  const absl::Time now = DatabaseNow();
  StoredReservation& stored = reservations_[claim.reservation_id];
  stored.incarnation = kPool;
  stored.ordinal = 1;
  stored.reservation = Reservation{.reservation_id = claim.reservation_id,
                                   .sku_id = claim.sku_id,
                                   .user_id = claim.user_id,
                                   .quantity = claim.quantity,
                                   .state = ReservationState::kCancelled,
                                   .amount_minor = AmountOf(sku->second.sku, claim.quantity),
                                   .currency = sku->second.sku.currency,
                                   .created_at = now,
                                   .expires_at = now,
                                   .finished_at = now,
                                   .cancel_reason = ToCancelReason(one.refusal),
                                   .order_reference = claim.order_reference};
  lapsed_.insert({claim.sku_id, claim.user_id, claim.reservation_id});
  return {.outcome = RefuseOutcome::kRefused, .reservation = stored.reservation};
}

absl::StatusOr<std::vector<RefuseResult>> FakeLedger::RefuseClaims(absl::Span<const ClaimRefusal> batch) {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(Enter());
  RETURN_IF_ERROR(CheckRefusals(batch));
  std::vector<RefuseResult> results;
  results.reserve(batch.size());
  for (const ClaimRefusal& one : batch) results.push_back(Refuse(one));
  return results;
}

}  // namespace tranche::storage
