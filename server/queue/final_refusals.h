// Which refusals of a queued claim are its decision, and which ones time may mend. Pure.
#pragma once

#include "storage/ledger/claim_refusal.h"
#include "storage/ledger/refusal.h"

namespace tranche::server {

enum class RefusalMeans {
  kDecided,    // the ledger is told, and who asks later
  kPaused,     // by an operator, until they resume it: some claims wait for that
  kNoGroup,    // there is none, or another consumer is about to open it: some joins wait a moment for that
  kNoRow,      // for good, but the ledger can keep no row of it: the id is another claim's
  kForeign,    // there is no such SKU: it may be another cluster's claim, and is not ours to decide
  kLedgerOut,  // the ledger does not answer, to anybody
  kMayExist,   // it may have been sold: the next try looks
  kInternal,   // a fault: it may be this claim's own
  kTryAgain,   // whatever else; so what this version does not know is never taken for a decision
};

inline RefusalMeans MeaningOf(storage::Refusal refusal) {
  using storage::Refusal;
  switch (refusal) {
    case Refusal::kSalePaused:
      return RefusalMeans::kPaused;
    case Refusal::kGroupNotFound:
      return RefusalMeans::kNoGroup;
    // Nodes and consumers hear of an opening one after the other.
    case Refusal::kSaleNotOpen:
      return RefusalMeans::kTryAgain;
    case Refusal::kSkuNotFound:
      return RefusalMeans::kForeign;
    case Refusal::kReservationIdReused:
      return RefusalMeans::kNoRow;
    case Refusal::kLedgerUnavailable:
      return RefusalMeans::kLedgerOut;
    case Refusal::kCommitUnknown:
      return RefusalMeans::kMayExist;
    case Refusal::kInternal:
      return RefusalMeans::kInternal;
    default:
      return storage::DecidesClaim(refusal) ? RefusalMeans::kDecided : RefusalMeans::kTryAgain;
  }
}

}  // namespace tranche::server
