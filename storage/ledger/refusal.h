// Why a request is refused: one vocabulary for the ledger, the nodes and the API.
#pragma once

#include "absl/strings/string_view.h"

namespace tranche::storage {

// Names and numbers are those of tranche.v1.ErrorReason, which says what each means: a refusal keeps its name from the
// procedure that decides it to the caller that reads it.
enum class Refusal {
  kNone = 0,  // nothing is refused
  kCartSpansShards = 11,
  kSkuNotFound = 20,
  kReservationNotFound = 21,
  kReservationIdReused = 30,
  kQuantityAboveUserLimit = 40,
  kUserLimitReached = 41,
  kSaleNotOpen = 42,
  kSaleClosed = 43,
  kInsufficientUnits = 45,
  kReservationState = 48,
  kPaymentMismatch = 49,
  kTooManyExtensions = 50,
  kHoldTooLong = 51,
  kExtensionOutOfOrder = 52,
  kSalePaused = 54,
  kDenied = 56,
  kNotAdmitted = 57,
  kPurchaseTokenRequired = 58,
  kPurchaseTokenInvalid = 59,
  kSoldOut = 60,
  kRateLimited = 63,
  kExhaustedHere = 80,
  kOverloaded = 81,
  kLedgerUnavailable = 82,
  kCommitUnknown = 83,
  kDraining = 84,
  kSkuMoving = 86,
  kDeadlinePassed = 90,
  kInternal = 100,
  kDrawDecides = 140,
  kDrawNotOpen = 141,
  kDrawFull = 144,
  kServiceLimited = 150,
  kClaimsAreQueued = 160,
  kQueueUnavailable = 161,
  kQueueFull = 162,
  kClaimDiscarded = 164,
  kGroupNotFound = 170,
  kGroupOver = 171,
  kGroupFull = 172,
  kAlreadyInGroup = 173,
  kOfferNotFound = 174,
  kOfferClosed = 175,
  kInGroup = 176,
  kTooManyGroups = 177,
};

struct RefusalWord {
  Refusal refusal;
  absl::string_view reason;     // in ErrorInfo.reason
  absl::string_view procedure;  // in the answer of a stored procedure; "" for what only a node decides
};

// Some words of the procedures differ from the reasons. They stay: servers of an earlier version know no others.
inline constexpr RefusalWord kRefusalWords[] = {
    {Refusal::kCartSpansShards, "CART_SPANS_SHARDS", ""},
    {Refusal::kSkuNotFound, "SKU_NOT_FOUND", "SKU_NOT_FOUND"},
    {Refusal::kReservationNotFound, "RESERVATION_NOT_FOUND", "NOT_FOUND"},
    {Refusal::kReservationIdReused, "RESERVATION_ID_REUSED", "CONFLICT"},
    {Refusal::kQuantityAboveUserLimit, "QUANTITY_ABOVE_USER_LIMIT", "QUANTITY_ABOVE_LIMIT"},
    {Refusal::kUserLimitReached, "USER_LIMIT_REACHED", "USER_LIMIT_REACHED"},
    {Refusal::kSaleNotOpen, "SALE_NOT_OPEN", "NOT_OPEN"},
    {Refusal::kSaleClosed, "SALE_CLOSED", "CLOSED"},
    {Refusal::kInsufficientUnits, "INSUFFICIENT_UNITS", ""},
    {Refusal::kReservationState, "RESERVATION_STATE", "STATE"},
    {Refusal::kPaymentMismatch, "PAYMENT_MISMATCH", "PAYMENT_MISMATCH"},
    {Refusal::kTooManyExtensions, "TOO_MANY_EXTENSIONS", "TOO_MANY_EXTENSIONS"},
    {Refusal::kHoldTooLong, "HOLD_TOO_LONG", "HOLD_TOO_LONG"},
    {Refusal::kExtensionOutOfOrder, "EXTENSION_OUT_OF_ORDER", "OUT_OF_ORDER"},
    {Refusal::kSalePaused, "SALE_PAUSED", "PAUSED"},
    {Refusal::kDenied, "DENIED", ""},
    {Refusal::kNotAdmitted, "NOT_ADMITTED", ""},
    {Refusal::kPurchaseTokenRequired, "PURCHASE_TOKEN_REQUIRED", ""},
    {Refusal::kPurchaseTokenInvalid, "PURCHASE_TOKEN_INVALID", ""},
    {Refusal::kSoldOut, "SOLD_OUT", ""},
    {Refusal::kRateLimited, "RATE_LIMITED", ""},
    {Refusal::kExhaustedHere, "EXHAUSTED_HERE", ""},
    {Refusal::kOverloaded, "OVERLOADED", ""},
    {Refusal::kLedgerUnavailable, "LEDGER_UNAVAILABLE", ""},
    {Refusal::kCommitUnknown, "COMMIT_UNKNOWN", ""},
    {Refusal::kDraining, "DRAINING", ""},
    {Refusal::kSkuMoving, "SKU_MOVING", "MOVING"},
    {Refusal::kDeadlinePassed, "DEADLINE_PASSED", ""},
    {Refusal::kInternal, "INTERNAL", ""},
    {Refusal::kDrawDecides, "DRAW_DECIDES", ""},
    {Refusal::kDrawNotOpen, "DRAW_NOT_OPEN", "NO_OPEN_DRAW"},
    {Refusal::kDrawFull, "DRAW_FULL", "FULL"},
    {Refusal::kServiceLimited, "SERVICE_LIMITED", ""},
    {Refusal::kClaimsAreQueued, "CLAIMS_ARE_QUEUED", ""},
    {Refusal::kQueueUnavailable, "QUEUE_UNAVAILABLE", ""},
    {Refusal::kQueueFull, "QUEUE_FULL", ""},
    {Refusal::kClaimDiscarded, "CLAIM_DISCARDED", ""},
    {Refusal::kGroupNotFound, "GROUP_NOT_FOUND", "GROUP_NOT_FOUND"},
    {Refusal::kGroupOver, "GROUP_OVER", "GROUP_OVER"},
    {Refusal::kGroupFull, "GROUP_FULL", "GROUP_FULL"},
    {Refusal::kAlreadyInGroup, "ALREADY_IN_GROUP", "ALREADY_IN_GROUP"},
    {Refusal::kOfferNotFound, "OFFER_NOT_FOUND", "OFFER_NOT_FOUND"},
    {Refusal::kOfferClosed, "OFFER_CLOSED", "OFFER_CLOSED"},
    {Refusal::kInGroup, "IN_GROUP", "GROUP"},
    {Refusal::kTooManyGroups, "TOO_MANY_GROUPS", "TOO_MANY_GROUPS"},
};

// What a procedure's word means. A word that this version does not know comes from a newer schema: it is logged, and
// kInternal.
Refusal RefusalOfProcedure(absl::string_view word);

}  // namespace tranche::storage
