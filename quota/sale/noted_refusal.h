// What a node answers a claim that may also be in a queue, once the ledger was told that it is refused for good. Pure.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "quota/sale/sale_result.h"
#include "storage/ledger/claim_refusal.h"

namespace tranche::quota {

// A consumer waits until the sale opens, or is resumed, and then sells what it has: that is no decision.
inline bool OpeningMends(Refusal refusal) {
  return refusal == Refusal::kSaleNotOpen || refusal == Refusal::kSalePaused;
}

// Without a row, a claim that is told this could be sold later from the queue. `queue_shard`: "" if it cannot be in
// one.
inline bool MustBeNoted(const std::string& queue_shard, const Refused& refused) {
  return !queue_shard.empty() && storage::DecidesClaim(refused.refusal) && !OpeningMends(refused.refusal);
}

// COMMIT_UNKNOWN must be told instead: what becomes of the claim is open, and the refusal sounds as if it were not.
inline bool IsOpenInQueue(const std::string& queue_shard, const Refused& refused) {
  return !queue_shard.empty() && OpeningMends(refused.refusal);
}

// The ledger was to be told, and this came of it.
inline Refusal RefusalNotNoted(const absl::Status& status) {
  return absl::IsResourceExhausted(status) ? Refusal::kOverloaded : Refusal::kCommitUnknown;
}

// Of every outcome but kSold. `refused`: as the ledger was told.
inline Refused RefusedAsNoted(const storage::RefuseResult& result, Refused refused) {
  switch (result.outcome) {
    case storage::RefuseOutcome::kRefused:
    case storage::RefuseOutcome::kSkuNotFound:  // it is never sold
      return refused;
    case storage::RefuseOutcome::kReplayed: {
      const std::optional<Refusal> first = storage::RefusalOf(result.reservation);
      if (first.has_value() && *first != refused.refusal) return Refused{.refusal = *first};
      return refused;
    }
    case storage::RefuseOutcome::kConflict:
      return Refused{.refusal = Refusal::kReservationIdReused};
    case storage::RefuseOutcome::kSold:
    case storage::RefuseOutcome::kSkuMoving:
      break;
  }
  // It is not known where its decision is to be.
  return Refused{.refusal = Refusal::kCommitUnknown};
}

}  // namespace tranche::quota
