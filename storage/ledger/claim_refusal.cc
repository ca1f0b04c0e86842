#include "storage/ledger/claim_refusal.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "glog/logging.h"

namespace tranche::storage {
namespace {

// As refuse_claims.sql writes it.
constexpr absl::string_view kRefusedForGood = "REFUSED ";

}  // namespace

bool DecidesClaim(Refusal refusal) {
  switch (refusal) {
    case Refusal::kSoldOut:
    case Refusal::kInsufficientUnits:
    case Refusal::kUserLimitReached:
    case Refusal::kQuantityAboveUserLimit:
    case Refusal::kSaleNotOpen:
    case Refusal::kSaleClosed:
    case Refusal::kSalePaused:
    case Refusal::kCartSpansShards:
    case Refusal::kDenied:
    case Refusal::kDrawDecides:
    case Refusal::kGroupNotFound:
    case Refusal::kGroupOver:
    case Refusal::kGroupFull:
    case Refusal::kAlreadyInGroup:
    case Refusal::kOfferNotFound:
    case Refusal::kOfferClosed:
    case Refusal::kTooManyGroups:
      return true;
    default:
      return false;
  }
}

absl::string_view NameOfRefusal(Refusal refusal) {
  for (const RefusalWord& known : kRefusalWords) {
    if (known.refusal == refusal) return known.reason;
  }
  LOG(FATAL) << "a refusal without a name: " << static_cast<int>(refusal);
}

std::string ToCancelReason(Refusal refusal) { return absl::StrCat(kRefusedForGood, NameOfRefusal(refusal)); }

std::optional<Refusal> RefusalOf(const Reservation& reservation) {
  absl::string_view name = reservation.cancel_reason;
  if (reservation.state != ReservationState::kCancelled || reservation.expires_at != reservation.created_at ||
      !absl::ConsumePrefix(&name, kRefusedForGood)) {
    return std::nullopt;
  }
  for (const RefusalWord& known : kRefusalWords) {
    if (known.reason == name) return known.refusal;
  }
  return Refusal::kInternal;
}

}  // namespace tranche::storage
