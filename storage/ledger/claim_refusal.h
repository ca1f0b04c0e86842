// A claim that was decided apart from its caller, and refused for good: the row that says so, for those who ask later
// (docs/decisions/0021-queue.md).
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "storage/ledger/refusal.h"
#include "storage/ledger/reservation_ledger.h"

namespace tranche::storage {

struct ClaimRefusal {
  ReservationClaim claim;
  Refusal refusal = Refusal::kNone;  // not kNone
};

enum class RefuseOutcome {
  kRefused,      // the row says so now
  kReplayed,     // it did before; `reservation` is that, perhaps with another refusal
  kSold,         // a reservation of this claim exists, in whatever state: it was sold
  kConflict,     // the id is that of another claim; nothing is written
  kSkuNotFound,  // nothing is written
  kSkuMoving,    // the SKU is on its way to another shard, or gone there; nothing is written
};

struct RefuseResult {
  RefuseOutcome outcome = RefuseOutcome::kSkuNotFound;
  Reservation reservation = {};  // for kRefused, kReplayed and kSold
};

// Such a refusal is the decision of a claim that is or may be queued. Any other one is mended by time, or the ledger
// can keep no row of it; so what this version does not know is never taken for a decision.
bool DecidesClaim(Refusal refusal);
// In ErrorInfo.reason; not of kNone.
absl::string_view NameOfRefusal(Refusal refusal);
// The cancel_reason of such a row: "REFUSED " and the refusal's name.
std::string ToCancelReason(Refusal refusal);
// Why the claim was refused for good; nullopt: it was sold once. kInternal for a name that this version does not know.
// That its hold ends when it begins is what tells it apart, whatever a shop gave as its reason to cancel another one:
// every hold lasts for a second at least. Its revision does not: a payment for it that is to be refunded raises that.
std::optional<Refusal> RefusalOf(const Reservation& reservation);

}  // namespace tranche::storage
