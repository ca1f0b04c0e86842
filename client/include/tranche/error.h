// Reads the errors of the client. Every error is an absl::Status; programs should decide by its Reason. Printed, it
// shows the reason and the details as text: RESOURCE_EXHAUSTED: ... [tranche/reason='SOLD_OUT'].
#pragma once

#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tranche/export.h"

namespace tranche {

// The machine-readable reasons; numbers and meanings are those of tranche.v1.ErrorReason.
enum class Reason {
  kUnspecified = 0,  // the error does not come from Tranche (such as a failed connection)

  kReservationIdRequired = 1,
  kReservationIdMalformed = 2,
  kSkuIdRequired = 3,
  kSkuIdMalformed = 4,
  kUserIdRequired = 5,
  kUserIdMalformed = 6,
  kQuantityInvalid = 7,
  kDeadlineRequired = 8,
  kMessageTooLarge = 9,
  kFieldInvalid = 10,
  kCartSpansShards = 11,

  kSkuNotFound = 20,
  kReservationNotFound = 21,
  kNodeNotFound = 22,
  kOutboxMessageNotFound = 23,
  kShardNotFound = 24,
  kSinkNotFound = 25,
  kDrawNotFound = 26,
  kDrawEntryNotFound = 27,

  kReservationIdReused = 30,
  kSkuAlreadyExists = 31,
  kShardAlreadyExists = 32,

  kQuantityAboveUserLimit = 40,
  kUserLimitReached = 41,
  kSaleNotOpen = 42,
  kSaleClosed = 43,
  kQuotaVersionChanged = 44,
  kInsufficientUnits = 45,
  kStockChanged = 46,
  kNodeDraining = 47,
  kReservationState = 48,
  kPaymentMismatch = 49,
  kTooManyExtensions = 50,
  kHoldTooLong = 51,
  kExtensionOutOfOrder = 52,
  kShardState = 53,
  kSalePaused = 54,
  kTermsChanged = 55,
  kDenied = 56,
  kNotAdmitted = 57,
  kPurchaseTokenRequired = 58,
  kPurchaseTokenInvalid = 59,

  kSoldOut = 60,
  kTooManyWatches = 61,
  kTooManyStreams = 62,
  kRateLimited = 63,

  kExhaustedHere = 80,
  kOverloaded = 81,
  kLedgerUnavailable = 82,
  kCommitUnknown = 83,
  kDraining = 84,
  kCoordinationUnavailable = 85,
  kSkuMoving = 86,

  kDeadlinePassed = 90,

  kInternal = 100,

  kCallerUnknown = 110,
  kRoleMissing = 120,

  kPolicyChanged = 130,
  kLotteryCannotShrink = 131,
  kKeyRotatedRecently = 132,
  kAccessListFull = 133,

  kDrawDecides = 140,
  kDrawNotOpen = 141,
  kDrawState = 142,
  kDrawSeedMismatch = 143,
  kDrawFull = 144,

  kServiceLimited = 150,

  kClaimsAreQueued = 160,
  kQueueUnavailable = 161,
  kQueueFull = 162,
  kClaimTicketInvalid = 163,
  kClaimDiscarded = 164,

  kGroupNotFound = 170,
  kGroupOver = 171,
  kGroupFull = 172,
  kAlreadyInGroup = 173,
  kOfferNotFound = 174,
  kOfferClosed = 175,
  kInGroup = 176,
  kTooManyGroups = 177,
  kOfferExists = 178,
  kTooManyOffers = 179,
  kNotInGroup = 180,
};

// kUnspecified for OK, for errors of other origin and for reasons newer than this library.
TRANCHE_EXPORT Reason ReasonOf(const absl::Status& status);

// As on the wire, such as "SOLD_OUT"; also right for reasons newer than this library. Empty when there is none.
TRANCHE_EXPORT std::string ReasonNameOf(const absl::Status& status);
TRANCHE_EXPORT std::string ReasonName(Reason reason);

// The details of the error, such as {"per_user_limit", "2"}. Empty when there are none.
TRANCHE_EXPORT std::map<std::string, std::string> ErrorMetadata(const absl::Status& status);
TRANCHE_EXPORT std::optional<std::string> ErrorMetadata(const absl::Status& status, const std::string& key);

// How long the server asks to wait before the next try; nullopt if it does not say. The client's own retries heed it.
// With kRateLimited and kNotAdmitted there are none: whether the buyer tries again after that is up to the caller.
TRANCHE_EXPORT std::optional<absl::Duration> RetryDelayOf(const absl::Status& status);

// No unsold unit exists anywhere.
TRANCHE_EXPORT bool IsSoldOut(const absl::Status& status);
// Like IsSoldOut, but unpaid holds may still return units.
TRANCHE_EXPORT bool IsSoldOutForNow(const absl::Status& status);
// The claim, or the change of a reservation, may or may not have been committed. Metadata "reservation_id" names it
// (for a cart, its first line), and "group_id" the group of a claim to open or join one: send it again, a claim with
// retry_of_unknown, or ask with Get.
TRANCHE_EXPORT bool IsOutcomeUnknown(const absl::Status& status);
// The ticket of a claim that is in a queue and was not decided before the wait for it ended, which is also an unknown
// outcome: ask with Client::GetClaim. nullopt for every other error.
TRANCHE_EXPORT std::optional<std::string> ClaimTicketOf(const absl::Status& status);

}  // namespace tranche
