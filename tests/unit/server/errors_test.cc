#include "server/errors.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/admission/door_refusals.h"
#include "storage/ledger/ledger_error.h"
#include "tests/unit/server/error_matchers.h"

namespace tranche::server {
namespace {

using quota::Refused;
using storage::Refusal;

struct ExpectedRefusal {
  Refusal refusal;
  absl::StatusCode code;
  const char* reason;
};

class RefusalTest : public ::testing::TestWithParam<ExpectedRefusal> {};

TEST_P(RefusalTest, HasItsCodeAndReason) {
  const absl::Status error = RefusalError(Refused{.refusal = GetParam().refusal});
  EXPECT_EQ(error.code(), GetParam().code);
  EXPECT_EQ(ReasonOf(error), GetParam().reason);
}

// One vocabulary: a refusal of the ledger or of a node is cast to the reason that callers read.
TEST(RefusalWords, AreTheReasonsOfTheApi) {
  for (const storage::RefusalWord& word : storage::kRefusalWords) {
    const auto reason = static_cast<v1::ErrorReason>(word.refusal);
    EXPECT_EQ(v1::ErrorReason_Name(reason), "ERROR_REASON_" + std::string(word.reason));
    EXPECT_EQ(ReasonOf(RefusalError(Refused{.refusal = word.refusal})), word.reason);
  }
}

TEST_P(RefusalTest, CarriesRetryInfoExactlyWhenUnavailable) {
  const absl::Status error = RefusalError(Refused{.refusal = GetParam().refusal});
  const auto retries = DetailsOf<google::rpc::RetryInfo>(error);
  if (GetParam().code == absl::StatusCode::kUnavailable) {
    ASSERT_EQ(retries.size(), 1u);
    EXPECT_GT(RetryDelay(error), absl::ZeroDuration());
    EXPECT_EQ(absl::Nanoseconds(retries[0].retry_delay().nanos()), RetryDelay(error));
  } else {
    EXPECT_TRUE(retries.empty());
    EXPECT_EQ(RetryDelay(error), absl::ZeroDuration());
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, RefusalTest,
    ::testing::Values(
        ExpectedRefusal{Refusal::kSkuNotFound, absl::StatusCode::kNotFound, "SKU_NOT_FOUND"},
        ExpectedRefusal{Refusal::kSaleNotOpen, absl::StatusCode::kFailedPrecondition, "SALE_NOT_OPEN"},
        ExpectedRefusal{Refusal::kSaleClosed, absl::StatusCode::kFailedPrecondition, "SALE_CLOSED"},
        ExpectedRefusal{Refusal::kSalePaused, absl::StatusCode::kFailedPrecondition, "SALE_PAUSED"},
        ExpectedRefusal{Refusal::kQuantityAboveUserLimit, absl::StatusCode::kFailedPrecondition,
                        "QUANTITY_ABOVE_USER_LIMIT"},
        ExpectedRefusal{Refusal::kUserLimitReached, absl::StatusCode::kFailedPrecondition, "USER_LIMIT_REACHED"},
        ExpectedRefusal{Refusal::kReservationIdReused, absl::StatusCode::kAlreadyExists, "RESERVATION_ID_REUSED"},
        ExpectedRefusal{Refusal::kDenied, absl::StatusCode::kFailedPrecondition, "DENIED"},
        ExpectedRefusal{Refusal::kNotAdmitted, absl::StatusCode::kFailedPrecondition, "NOT_ADMITTED"},
        ExpectedRefusal{Refusal::kPurchaseTokenRequired, absl::StatusCode::kFailedPrecondition,
                        "PURCHASE_TOKEN_REQUIRED"},
        ExpectedRefusal{Refusal::kPurchaseTokenInvalid, absl::StatusCode::kFailedPrecondition,
                        "PURCHASE_TOKEN_INVALID"},
        ExpectedRefusal{Refusal::kDrawDecides, absl::StatusCode::kFailedPrecondition, "DRAW_DECIDES"},
        ExpectedRefusal{Refusal::kDrawNotOpen, absl::StatusCode::kFailedPrecondition, "DRAW_NOT_OPEN"},
        ExpectedRefusal{Refusal::kDrawFull, absl::StatusCode::kFailedPrecondition, "DRAW_FULL"},
        ExpectedRefusal{Refusal::kServiceLimited, absl::StatusCode::kFailedPrecondition, "SERVICE_LIMITED"},
        ExpectedRefusal{Refusal::kRateLimited, absl::StatusCode::kResourceExhausted, "RATE_LIMITED"},
        ExpectedRefusal{Refusal::kSoldOut, absl::StatusCode::kResourceExhausted, "SOLD_OUT"},
        ExpectedRefusal{Refusal::kInsufficientUnits, absl::StatusCode::kFailedPrecondition, "INSUFFICIENT_UNITS"},
        ExpectedRefusal{Refusal::kExhaustedHere, absl::StatusCode::kUnavailable, "EXHAUSTED_HERE"},
        ExpectedRefusal{Refusal::kOverloaded, absl::StatusCode::kUnavailable, "OVERLOADED"},
        ExpectedRefusal{Refusal::kLedgerUnavailable, absl::StatusCode::kUnavailable, "LEDGER_UNAVAILABLE"},
        ExpectedRefusal{Refusal::kCommitUnknown, absl::StatusCode::kUnavailable, "COMMIT_UNKNOWN"},
        ExpectedRefusal{Refusal::kDraining, absl::StatusCode::kUnavailable, "DRAINING"},
        ExpectedRefusal{Refusal::kDeadlinePassed, absl::StatusCode::kDeadlineExceeded, "DEADLINE_PASSED"},
        ExpectedRefusal{Refusal::kClaimsAreQueued, absl::StatusCode::kFailedPrecondition, "CLAIMS_ARE_QUEUED"},
        ExpectedRefusal{Refusal::kQueueUnavailable, absl::StatusCode::kUnavailable, "QUEUE_UNAVAILABLE"},
        ExpectedRefusal{Refusal::kQueueFull, absl::StatusCode::kResourceExhausted, "QUEUE_FULL"},
        ExpectedRefusal{Refusal::kClaimDiscarded, absl::StatusCode::kFailedPrecondition, "CLAIM_DISCARDED"},
        ExpectedRefusal{Refusal::kGroupNotFound, absl::StatusCode::kNotFound, "GROUP_NOT_FOUND"},
        ExpectedRefusal{Refusal::kGroupOver, absl::StatusCode::kFailedPrecondition, "GROUP_OVER"},
        ExpectedRefusal{Refusal::kGroupFull, absl::StatusCode::kFailedPrecondition, "GROUP_FULL"},
        ExpectedRefusal{Refusal::kAlreadyInGroup, absl::StatusCode::kFailedPrecondition, "ALREADY_IN_GROUP"},
        ExpectedRefusal{Refusal::kOfferNotFound, absl::StatusCode::kNotFound, "OFFER_NOT_FOUND"},
        ExpectedRefusal{Refusal::kOfferClosed, absl::StatusCode::kFailedPrecondition, "OFFER_CLOSED"},
        ExpectedRefusal{Refusal::kInGroup, absl::StatusCode::kFailedPrecondition, "IN_GROUP"},
        ExpectedRefusal{Refusal::kTooManyGroups, absl::StatusCode::kResourceExhausted, "TOO_MANY_GROUPS"},
        ExpectedRefusal{Refusal::kInternal, absl::StatusCode::kInternal, "INTERNAL"}));

TEST(ErrorsTest, VariablesAreInTheMetadata) {
  EXPECT_EQ(MetadataOf(RefusalError({.refusal = Refusal::kSoldOut, .holds_may_lapse = true}), "holds_may_lapse"),
            "true");
  EXPECT_EQ(MetadataOf(RefusalError({.refusal = Refusal::kSoldOut}), "holds_may_lapse"), "false");
  for (const int64_t available : {1, 3}) {
    for (const bool may_lapse : {false, true}) {
      const absl::Status error =
          RefusalError({.refusal = Refusal::kInsufficientUnits, .holds_may_lapse = may_lapse, .available = available});
      EXPECT_EQ(MetadataOf(error, "available"), absl::StrCat(available));
      EXPECT_EQ(MetadataOf(error, "holds_may_lapse"), may_lapse ? "true" : "false");
    }
  }
  EXPECT_EQ(MetadataOf(RefusalError({.refusal = Refusal::kUserLimitReached, .per_user_limit = 3}), "per_user_limit"),
            "3");
  EXPECT_EQ(
      MetadataOf(RefusalError({.refusal = Refusal::kQuantityAboveUserLimit, .per_user_limit = 4}), "per_user_limit"),
      "4");
}

TEST(ErrorsTest, AServiceModeTellsItsNameAndReasonAndNoSku) {
  quota::Refused limited{.refusal = Refusal::kServiceLimited, .pause_reason = "Back soon.", .about = "CHANGES_ONLY"};
  const absl::Status error = RefusalError(limited, "tv");
  EXPECT_EQ(MetadataOf(error, "mode"), "CHANGES_ONLY");
  EXPECT_EQ(MetadataOf(error, "service_reason"), "Back soon.");
  EXPECT_EQ(MetadataOf(error, "sku_id"), "");
  EXPECT_EQ(error.message(), "Nothing can be reserved now: Back soon.");
  EXPECT_EQ(RefusalError(limited, "radio"), error);
  // The last answer is kept; it must not be given for another mode.
  limited.about = "READ_ONLY";
  limited.pause_reason = "";
  const absl::Status read_only = RefusalError(limited, "tv");
  EXPECT_EQ(MetadataOf(read_only, "mode"), "READ_ONLY");
  EXPECT_EQ(read_only.message(), "Nothing can be reserved or changed now.");
}

TEST(ErrorsTest, NotOpenTellsTheTimeOfTheSkuAskedFor) {
  const absl::Time noon = absl::FromUnixSeconds(1800000000);
  const absl::Status first = RefusalError({.refusal = Refusal::kSaleNotOpen, .opens_at = noon});
  EXPECT_EQ(MetadataOf(first, "opens_at"), "2027-01-15T08:00:00+00:00");
  // The last answer is kept; it must not be given for another time.
  const absl::Status later = RefusalError({.refusal = Refusal::kSaleNotOpen, .opens_at = noon + absl::Hours(1)});
  EXPECT_EQ(MetadataOf(later, "opens_at"), "2027-01-15T09:00:00+00:00");
  EXPECT_EQ(RefusalError({.refusal = Refusal::kSaleNotOpen, .opens_at = noon}), first);
}

TEST(ErrorsTest, WhatIsNotKnownIsNotTold) {
  const absl::Status early = RefusalError({.refusal = Refusal::kSaleNotOpen}, "tv");
  EXPECT_EQ(early.message(), "The sale of this SKU is not open yet.");
  EXPECT_EQ(MetadataOf(early, "opens_at"), "");
  for (const Refusal refusal : {Refusal::kQuantityAboveUserLimit, Refusal::kUserLimitReached}) {
    const absl::Status error = RefusalError({.refusal = refusal}, "tv");
    EXPECT_EQ(MetadataOf(error, "per_user_limit"), "");
    EXPECT_FALSE(absl::StrContains(error.message(), "0")) << error;
  }
}

TEST(ErrorsTest, AFullQueueTellsWhenToComeAndAsksNoProgramToRepeat) {
  const absl::Status error = RefusalError({.refusal = Refusal::kQueueFull, .retry_after = absl::Seconds(4)}, "tv");
  EXPECT_EQ(MetadataOf(error, "retry_after_ms"), "4000");
  EXPECT_EQ(MetadataOf(error, "sku_id"), "tv");
  EXPECT_EQ(RetryDelay(error), absl::ZeroDuration());
  EXPECT_TRUE(DetailsOf<google::rpc::RetryInfo>(error).empty());
}

TEST(ErrorsTest, RefusalsOfTheQueueNameTheirSku) {
  for (const Refusal refusal : {Refusal::kClaimsAreQueued, Refusal::kQueueUnavailable, Refusal::kClaimDiscarded}) {
    EXPECT_EQ(MetadataOf(RefusalError({.refusal = refusal}, "tv"), "sku_id"), "tv");
  }
}

TEST(ErrorsTest, RefusalsAboutOffersNameTheirSkuAndThoseAboutGroupsDoNot) {
  for (const Refusal refusal : {Refusal::kOfferNotFound, Refusal::kOfferClosed, Refusal::kTooManyGroups}) {
    EXPECT_EQ(MetadataOf(RefusalError({.refusal = refusal}, "tv"), "sku_id"), "tv");
  }
  for (const Refusal refusal : {Refusal::kGroupNotFound, Refusal::kGroupOver, Refusal::kGroupFull,
                                Refusal::kAlreadyInGroup, Refusal::kInGroup}) {
    EXPECT_EQ(MetadataOf(RefusalError({.refusal = refusal}, "tv"), "sku_id"), "");
  }
}

TEST(ErrorsTest, TooManyGroupsSaysWhoHasThem) {
  const absl::Status of_user = RefusalError({.refusal = Refusal::kTooManyGroups, .about = "user"}, "tv");
  EXPECT_EQ(MetadataOf(of_user, "limit"), "user");
  EXPECT_EQ(MetadataOf(of_user, "sku_id"), "tv");
  const absl::Status of_sku = RefusalError({.refusal = Refusal::kTooManyGroups, .about = "sku"}, "tv");
  EXPECT_EQ(MetadataOf(of_sku, "limit"), "sku");
  const absl::Status unknown = RefusalError({.refusal = Refusal::kTooManyGroups}, "tv");
  EXPECT_EQ(MetadataOf(unknown, "limit"), "") << "a claim that was queued";
  EXPECT_NE(of_user.message(), of_sku.message());
  EXPECT_NE(of_user.message(), unknown.message());
  EXPECT_NE(of_sku.message(), unknown.message());
}

TEST(ErrorsTest, GroupsAndOffersFailByTheirCodes) {
  EXPECT_EQ(MakeError(v1::ERROR_REASON_NOT_IN_GROUP, "no").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(MakeError(v1::ERROR_REASON_OFFER_EXISTS, "no").code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(MakeError(v1::ERROR_REASON_TOO_MANY_OFFERS, "no").code(), absl::StatusCode::kResourceExhausted);
}

TEST(ErrorsTest, EveryRefusalAboutGroupsSaysWhatIsWrong) {
  const absl::Status internal = RefusalError({.refusal = Refusal::kInternal});
  for (const storage::RefusalWord& word : storage::kRefusalWords) {
    if (word.refusal < Refusal::kGroupNotFound) continue;
    EXPECT_NE(RefusalError({.refusal = word.refusal}).message(), internal.message()) << word.reason;
  }
}

// Of a claim that was queued, nobody knows any more how many there were.
TEST(ErrorsTest, AnUnknownNumberOfUnitsIsNotTold) {
  const absl::Status error = RefusalError({.refusal = Refusal::kInsufficientUnits}, "tv");
  EXPECT_EQ(MetadataOf(error, "available"), "");
  EXPECT_FALSE(absl::StrContains(error.message(), "0")) << error;
}

TEST(ErrorsTest, ATicketThatIsNoneIsAboutItsField) {
  const absl::Status error = FieldError(v1::ERROR_REASON_CLAIM_TICKET_INVALID, "ticket", "must be one");
  EXPECT_EQ(error.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeError(v1::ERROR_REASON_CLAIM_TICKET_INVALID, "no").code(), absl::StatusCode::kInvalidArgument);
}

TEST(ErrorsTest, APauseSaysWhy) {
  const absl::Status error =
      RefusalError({.refusal = Refusal::kSalePaused, .pause_reason = "ein Fehler im Preis, ä"}, "tv");
  EXPECT_EQ(error.message(), "The sale of this SKU is paused: ein Fehler im Preis, ä");
  EXPECT_EQ(MetadataOf(error, "pause_reason"), "ein Fehler im Preis, ä");
  const absl::Status other = RefusalError({.refusal = Refusal::kSalePaused}, "tv");
  EXPECT_EQ(other.message(), "The sale of this SKU is paused.") << "what was built for another reason is not given";
}

TEST(ErrorsTest, ARefusalAboutASkuNamesIt) {
  for (const Refusal refusal :
       {Refusal::kSoldOut, Refusal::kInsufficientUnits, Refusal::kSkuNotFound, Refusal::kSaleNotOpen,
        Refusal::kSaleClosed, Refusal::kSalePaused, Refusal::kUserLimitReached, Refusal::kQuantityAboveUserLimit,
        Refusal::kExhaustedHere, Refusal::kSkuMoving, Refusal::kCartSpansShards, Refusal::kNotAdmitted,
        Refusal::kPurchaseTokenRequired, Refusal::kPurchaseTokenInvalid, Refusal::kRateLimited}) {
    EXPECT_EQ(MetadataOf(RefusalError({.refusal = refusal}, "tv"), "sku_id"), "tv");
    EXPECT_EQ(MetadataOf(RefusalError({.refusal = refusal}), "sku_id"), "");
  }
  for (const Refusal refusal :
       {Refusal::kDraining, Refusal::kOverloaded, Refusal::kReservationIdReused, Refusal::kDenied}) {
    EXPECT_EQ(MetadataOf(RefusalError({.refusal = refusal}, "tv"), "sku_id"), "") << "every SKU fares alike";
  }
}

TEST(ErrorsTest, ARateLimitTellsWhenToComeAgainAndIsNotRetriedByItself) {
  const absl::Status error = RefusalError(
      {.refusal = Refusal::kRateLimited, .retry_after = absl::Microseconds(2500001), .about = "user"}, "tv");
  EXPECT_EQ(error.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(MetadataOf(error, "limit"), "user");
  EXPECT_EQ(MetadataOf(error, "retry_after_ms"), "2501") << "not too early";
  const auto retries = DetailsOf<google::rpc::RetryInfo>(error);
  ASSERT_EQ(retries.size(), 1u);
  EXPECT_EQ(retries[0].retry_delay().seconds(), 2);
  EXPECT_EQ(retries[0].retry_delay().nanos(), 501000000);
  EXPECT_EQ(RetryDelay(error), absl::ZeroDuration()) << "what gRPC may retry by itself";
  EXPECT_EQ(DetailsOf<google::rpc::RetryInfo>(WithMetadata(error, "reservation_id", "x")).size(), 1u);
}

TEST(ErrorsTest, WhoIsNotAdmittedIsToldWhenToAskAgainAndIsNotRetriedByItself) {
  const absl::Status error =
      RefusalError({.refusal = Refusal::kNotAdmitted, .retry_after = absl::Milliseconds(20300)}, "tv");
  EXPECT_EQ(error.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(MetadataOf(error, "retry_after_ms"), "20300");
  const auto retries = DetailsOf<google::rpc::RetryInfo>(error);
  ASSERT_EQ(retries.size(), 1u);
  EXPECT_EQ(retries[0].retry_delay().seconds(), 20);
  EXPECT_EQ(retries[0].retry_delay().nanos(), 300000000);
  EXPECT_EQ(RetryDelay(error), absl::ZeroDuration()) << "what gRPC may retry by itself";
  EXPECT_TRUE(DetailsOf<google::rpc::RetryInfo>(RefusalError({.refusal = Refusal::kNotAdmitted}, "tv")).empty())
      << "the time is not known";
}

TEST(ErrorsTest, ANodeWhoseFrontDoorCannotJudgeDoesNotSayThatItHasNoUnits) {
  const absl::Status door = RefusalError(NotJudgedHere(), "tv");
  EXPECT_EQ(ReasonOf(door), "EXHAUSTED_HERE");
  EXPECT_EQ(door.message(), "This node cannot judge who may buy now; ask another one.");
  EXPECT_EQ(DetailsOf<google::rpc::RetryInfo>(door).size(), 1u);
  EXPECT_GT(RetryDelay(door), absl::ZeroDuration());
  EXPECT_EQ(RefusalError({.refusal = Refusal::kExhaustedHere}, "tv").message(),
            "This node has no unit left; try another one, or shortly again.")
      << "what was built for the other is not given";
}

TEST(ErrorsTest, APurchaseTokenIsRefusedWithItsProblem) {
  for (const char* problem : {"expired", "not_for_this", "unreadable"}) {
    const absl::Status error = RefusalError({.refusal = Refusal::kPurchaseTokenInvalid, .about = problem}, "tv");
    EXPECT_EQ(MetadataOf(error, "problem"), problem) << "what was built for another problem is not given";
  }
}

// Many buyers of one SKU wait for different times, and each must be told their own.
TEST(ErrorsTest, AnotherWaitIsNotToldFromMemory) {
  for (int round = 0; round < 2; ++round) {
    for (int ms = 1; ms <= 200; ++ms) {
      for (const char* limit : {"user", "sku"}) {
        const absl::Status error = RefusalError(
            {.refusal = Refusal::kRateLimited, .retry_after = absl::Milliseconds(ms), .about = limit}, "tv");
        ASSERT_EQ(MetadataOf(error, "retry_after_ms"), absl::StrCat(ms));
        ASSERT_EQ(MetadataOf(error, "limit"), limit);
      }
    }
  }
}

TEST(ErrorsTest, AdminCallsAboutTheDoorFailByTheStateOfThings) {
  for (const v1::ErrorReason reason : {v1::ERROR_REASON_POLICY_CHANGED, v1::ERROR_REASON_LOTTERY_CANNOT_SHRINK,
                                       v1::ERROR_REASON_KEY_ROTATED_RECENTLY, v1::ERROR_REASON_ACCESS_LIST_FULL}) {
    EXPECT_EQ(MakeError(reason, "no").code(), absl::StatusCode::kFailedPrecondition);
  }
}

// What was built for one SKU is kept, and must not be given for another, however many there are.
TEST(ErrorsTest, ASoldOutSkuIsNotNamedForAnother) {
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 200; ++i) {
      const std::string sku = absl::StrCat("sku-", i);
      for (const bool may_lapse : {false, true}) {
        const absl::Status error = RefusalError({.refusal = Refusal::kSoldOut, .holds_may_lapse = may_lapse}, sku);
        ASSERT_EQ(MetadataOf(error, "sku_id"), sku);
        ASSERT_EQ(MetadataOf(error, "holds_may_lapse"), may_lapse ? "true" : "false");
      }
    }
  }
}

TEST(ErrorsTest, FieldErrorsNameTheFieldTwice) {
  const absl::Status error = FieldError(v1::ERROR_REASON_QUANTITY_INVALID, "quantity", "must be at least 1");
  EXPECT_EQ(error.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MetadataOf(error, "field"), "quantity");
  const auto requests = DetailsOf<google::rpc::BadRequest>(error);
  ASSERT_EQ(requests.size(), 1u);
  ASSERT_EQ(requests[0].field_violations_size(), 1);
  EXPECT_EQ(requests[0].field_violations(0).field(), "quantity");
}

TEST(ErrorsTest, DetailsRepeatCodeAndMessage) {
  const absl::Status error = RefusalError({.refusal = Refusal::kSoldOut});
  const google::rpc::Status rpc = ToRpcStatus(error);
  EXPECT_EQ(rpc.code(), static_cast<int>(error.code()));
  EXPECT_EQ(rpc.message(), std::string(error.message()));
}

TEST(ErrorsTest, AnErrorWithoutDetailsIsInternal) {
  const google::rpc::Status rpc = ToRpcStatus(absl::NotFoundError("not one of ours"));
  EXPECT_EQ(rpc.code(), static_cast<int>(absl::StatusCode::kInternal));
  EXPECT_EQ(rpc.details_size(), 1);
}

TEST(ErrorsTest, LedgerErrorsKeepTheirMeaning) {
  const auto reason = [](const absl::Status& status) { return ReasonOf(LedgerError(status, "tv", Repeatable::kYes)); };
  EXPECT_EQ(reason(absl::UnavailableError("")), "LEDGER_UNAVAILABLE");
  EXPECT_EQ(reason(absl::ResourceExhaustedError("")), "OVERLOADED");
  EXPECT_EQ(reason(absl::NotFoundError("")), "SKU_NOT_FOUND");
  EXPECT_EQ(reason(absl::AlreadyExistsError("")), "SKU_ALREADY_EXISTS");
  EXPECT_EQ(reason(absl::InvalidArgumentError("")), "FIELD_INVALID");
  EXPECT_EQ(reason(absl::AbortedError("")), "QUOTA_VERSION_CHANGED");
  EXPECT_EQ(reason(storage::RetryTransactionError("")), "OVERLOADED");
  EXPECT_EQ(reason(storage::SkuMovingError("")), "SKU_MOVING") << "not LEDGER_UNAVAILABLE";
  EXPECT_EQ(reason(absl::InternalError("")), "INTERNAL");
  EXPECT_EQ(MetadataOf(LedgerError(absl::NotFoundError(""), "tv", Repeatable::kYes), "sku_id"), "tv");
  const absl::Status elsewhere = LedgerError(storage::AtShard(absl::UnavailableError(""), "hot"), "", Repeatable::kYes);
  EXPECT_EQ(MetadataOf(elsewhere, "shard"), "hot");
  EXPECT_TRUE(absl::StrContains(elsewhere.message(), "shard hot")) << elsewhere;
  const absl::Status locked = LedgerError(storage::BusyError(""), "tv", Repeatable::kYes);
  EXPECT_EQ(ReasonOf(locked), "LEDGER_UNAVAILABLE");
  EXPECT_NE(locked.message(), LedgerError(absl::UnavailableError(""), "tv", Repeatable::kYes).message())
      << "a locked row is no outage";
}

TEST(ErrorsTest, AnUnknownOutcomeIsUnavailableOnlyWhereRepeatingIsSafe) {
  const absl::Status lost = storage::UnknownCommitError("connection lost");
  const absl::Status repeatable = LedgerError(lost, "tv", Repeatable::kYes);
  EXPECT_EQ(repeatable.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(repeatable), "COMMIT_UNKNOWN");
  const absl::Status once = LedgerError(lost, "tv", Repeatable::kNo);
  EXPECT_EQ(once.code(), absl::StatusCode::kUnknown);
  EXPECT_EQ(ReasonOf(once), "COMMIT_UNKNOWN");
  EXPECT_TRUE(DetailsOf<google::rpc::RetryInfo>(once).empty());
}

TEST(ErrorsTest, OneMoreVariableChangesNothingElse) {
  const absl::Status error = RefusalError({.refusal = Refusal::kSoldOut, .holds_may_lapse = true});
  const absl::Status named = WithMetadata(error, "sku_id", "tv");
  EXPECT_EQ(MetadataOf(named, "sku_id"), "tv");
  EXPECT_EQ(MetadataOf(named, "holds_may_lapse"), "true");
  EXPECT_EQ(ReasonOf(named), "SOLD_OUT");
  EXPECT_EQ(named.code(), error.code());
  EXPECT_EQ(MetadataOf(error, "sku_id"), "") << "the error that is shared by all";
  const absl::Status exhausted = WithMetadata(RefusalError({.refusal = Refusal::kExhaustedHere}), "sku_id", "tv");
  EXPECT_EQ(DetailsOf<google::rpc::RetryInfo>(exhausted).size(), 1u);
}

}  // namespace
}  // namespace tranche::server
