#include "server/handlers/reservation_handler.h"

#include <gmock/gmock.h>

#include <optional>
#include <string>
#include <utility>

#include "absl/synchronization/notification.h"
#include "storage/bounded_executor.h"
#include "storage/fake/fake_ledger.h"
#include "storage/ledger/claim_refusal.h"
#include "tests/support/one_shard.h"
#include "tests/unit/server/error_matchers.h"
#include "tests/unit/server/happened.h"

namespace tranche::server {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

constexpr char kClaimId[] = "01890a5d-ac96-774b-bcce-b302099a8057";

// A handler whose seller answers as told and remembers what it was asked.
class ReservationHandlerTest : public ::testing::Test {
 protected:
  ReservationHandlerTest() { Build(); }

  void Build(int queue = 16) {
    shard_.reset();
    executor_ = std::make_unique<storage::BoundedExecutor>(1, queue);
    shard_ = std::make_unique<tranche::testing::OneShard>(&ledger_, executor_.get(), &clock_);
    handler_ = std::make_unique<ReservationHandler>(
        [this](storage::ReservationClaim claim, absl::Time deadline, bool may_exist, quota::SaleDone done,
               quota::Visitor visitor) {
          claim_ = std::move(claim);
          visitor_ = std::move(visitor);
          deadline_ = deadline;
          may_exist_ = may_exist;
          done(answer_);
        },
        shard_->books(), &clock_);
    handler_->StartServing();
  }

  static v1::CreateReservationRequest GoodRequest() {
    v1::CreateReservationRequest request;
    request.set_reservation_id(kClaimId);
    request.set_sku_id("tv");
    request.set_user_id("u1");
    request.set_quantity(1);
    return request;
  }

  absl::StatusOr<Accepted> Create(const v1::CreateReservationRequest& request, absl::Time deadline) {
    std::optional<absl::StatusOr<Accepted>> result;
    handler_->Create(request, deadline, [&](absl::StatusOr<Accepted> accepted) {
      EXPECT_FALSE(result.has_value()) << "answered twice";
      result = std::move(accepted);
    });
    if (!result.has_value()) return absl::InternalError("not answered");
    return *std::move(result);
  }
  absl::Status CreateError(const v1::CreateReservationRequest& request) {
    return Create(request, clock_.Now() + absl::Seconds(2)).status();
  }

  absl::StatusOr<storage::Reservation> Get(const std::string& id) {
    v1::GetReservationRequest request;
    request.set_reservation_id(id);
    absl::StatusOr<storage::Reservation> result;
    absl::Notification answered;
    handler_->Get(request, absl::InfiniteFuture(), [&](absl::StatusOr<storage::Reservation> found) {
      result = std::move(found);
      answered.Notify();
    });
    answered.WaitForNotification();
    return result;
  }

  storage::FakeClock clock_;
  storage::FakeLedger ledger_{&clock_};
  std::unique_ptr<storage::BoundedExecutor> executor_;
  std::unique_ptr<tranche::testing::OneShard> shard_;
  std::unique_ptr<ReservationHandler> handler_;
  quota::SaleResult answer_ = quota::Sold{};
  std::optional<storage::ReservationClaim> claim_;
  quota::Visitor visitor_;
  absl::Time deadline_;
  bool may_exist_ = false;
};

TEST_F(ReservationHandlerTest, PassesAGoodRequestOn) {
  v1::CreateReservationRequest request = GoodRequest();
  request.set_may_exist(true);
  const absl::Time deadline = clock_.Now() + absl::Seconds(2);
  EXPECT_TRUE(Create(request, deadline).ok());
  ASSERT_TRUE(claim_.has_value());
  EXPECT_EQ(claim_->reservation_id.ToString(), kClaimId);
  EXPECT_EQ(claim_->sku_id, "tv");
  EXPECT_EQ(claim_->user_id, "u1");
  EXPECT_EQ(claim_->quantity, 1);
  EXPECT_EQ(deadline_, deadline);
  EXPECT_TRUE(may_exist_);
}

TEST_F(ReservationHandlerTest, EveryBadFieldHasItsOwnReason) {
  struct Case {
    const char* reason;
    const char* field;
    void (*spoil)(v1::CreateReservationRequest&);
  };
  const Case cases[] = {
      {"RESERVATION_ID_REQUIRED", "reservation_id", [](auto& r) { r.clear_reservation_id(); }},
      {"RESERVATION_ID_MALFORMED", "reservation_id", [](auto& r) { r.set_reservation_id("17"); }},
      {"RESERVATION_ID_MALFORMED", "reservation_id", [](auto& r) { r.mutable_reservation_id()->append("0"); }},
      {"RESERVATION_ID_MALFORMED", "reservation_id",
       [](auto& r) { r.set_reservation_id("00000000-0000-0000-0000-000000000000"); }},
      {"SKU_ID_REQUIRED", "sku_id", [](auto& r) { r.clear_sku_id(); }},
      {"SKU_ID_MALFORMED", "sku_id", [](auto& r) { r.set_sku_id("a/b"); }},
      {"SKU_ID_MALFORMED", "sku_id", [](auto& r) { r.set_sku_id(std::string(65, 'x')); }},
      {"USER_ID_REQUIRED", "user_id", [](auto& r) { r.clear_user_id(); }},
      {"USER_ID_MALFORMED", "user_id", [](auto& r) { r.set_user_id("a\nb"); }},
      {"USER_ID_MALFORMED", "user_id", [](auto& r) { r.set_user_id(std::string(129, 'u')); }},
      {"QUANTITY_INVALID", "quantity", [](auto& r) { r.set_quantity(0); }},
      {"QUANTITY_INVALID", "quantity", [](auto& r) { r.set_quantity(-1); }},
      {"FIELD_INVALID", "buyer_address", [](auto& r) { r.set_buyer_address("203.0.113.7:80"); }},
      {"MESSAGE_TOO_LARGE", "request", [](auto& r) { r.set_user_id(std::string(5000, 'u')); }},
  };
  for (const Case& bad : cases) {
    v1::CreateReservationRequest request = GoodRequest();
    bad.spoil(request);
    const absl::Status error = CreateError(request);
    EXPECT_EQ(error.code(), absl::StatusCode::kInvalidArgument) << bad.reason;
    EXPECT_EQ(ReasonOf(error), bad.reason);
    EXPECT_EQ(MetadataOf(error, "field"), bad.field) << bad.reason;
    EXPECT_EQ(DetailsOf<google::rpc::BadRequest>(error).size(), 1u) << bad.reason;
  }
  EXPECT_FALSE(claim_.has_value()) << "a bad request reached the seller";
}

TEST_F(ReservationHandlerTest, AnOrderReferenceIsPassedOn) {
  v1::CreateReservationRequest request = GoodRequest();
  request.set_order_reference(std::string(128, 'x'));
  ASSERT_TRUE(Create(request, clock_.Now() + absl::Seconds(2)).ok());
  EXPECT_EQ(claim_->order_reference, request.order_reference());
  for (const std::string& bad : {std::string(129, 'x'), std::string("a\nb"), std::string("\xff")}) {
    request.set_order_reference(bad);
    const absl::Status error = CreateError(request);
    EXPECT_EQ(ReasonOf(error), "FIELD_INVALID");
    EXPECT_EQ(MetadataOf(error, "field"), "order_reference");
  }
}

TEST_F(ReservationHandlerTest, RefusalsOfTheSellerBecomeErrors) {
  const std::pair<storage::Refusal, const char*> refusals[] = {
      {storage::Refusal::kSkuNotFound, "SKU_NOT_FOUND"},
      {storage::Refusal::kSaleNotOpen, "SALE_NOT_OPEN"},
      {storage::Refusal::kSaleClosed, "SALE_CLOSED"},
      {storage::Refusal::kQuantityAboveUserLimit, "QUANTITY_ABOVE_USER_LIMIT"},
      {storage::Refusal::kUserLimitReached, "USER_LIMIT_REACHED"},
      {storage::Refusal::kReservationIdReused, "RESERVATION_ID_REUSED"},
      {storage::Refusal::kSoldOut, "SOLD_OUT"},
      {storage::Refusal::kExhaustedHere, "EXHAUSTED_HERE"},
      {storage::Refusal::kOverloaded, "OVERLOADED"},
      {storage::Refusal::kLedgerUnavailable, "LEDGER_UNAVAILABLE"},
      {storage::Refusal::kCommitUnknown, "COMMIT_UNKNOWN"},
      {storage::Refusal::kDraining, "DRAINING"},
      {storage::Refusal::kDeadlinePassed, "DEADLINE_PASSED"},
      {storage::Refusal::kInternal, "INTERNAL"},
  };
  for (const auto& [refusal, reason] : refusals) {
    answer_ = quota::Refused{.refusal = refusal};
    EXPECT_EQ(ReasonOf(CreateError(GoodRequest())), reason);
  }
}

TEST_F(ReservationHandlerTest, ARefusalNamesTheSkuThatWasAskedFor) {
  answer_ = quota::Refused{.refusal = storage::Refusal::kSoldOut};
  for (const char* sku : {"tv", "radio", "tv"}) {
    v1::CreateReservationRequest request = GoodRequest();
    request.set_sku_id(sku);
    EXPECT_EQ(MetadataOf(CreateError(request), "sku_id"), sku);
  }
}

TEST_F(ReservationHandlerTest, WhereTheBuyerIsAndTheirTokenGoToTheSeller) {
  v1::CreateReservationRequest request = GoodRequest();
  request.set_purchase_token(std::string(512, 't'));
  handler_->Create(
      request, clock_.Now() + absl::Seconds(1), [](const absl::StatusOr<Accepted>&) {}, "203.0.113.7");
  EXPECT_EQ(visitor_.address, "203.0.113.7");
  EXPECT_EQ(visitor_.purchase_token, request.purchase_token());
  claim_.reset();
  request.set_purchase_token(std::string(513, 't'));
  const absl::Status error = CreateError(request);
  EXPECT_EQ(ReasonOf(error), "FIELD_INVALID");
  EXPECT_EQ(MetadataOf(error, "field"), "purchase_token");
  EXPECT_FALSE(claim_.has_value()) << "it reached the seller";
}

TEST_F(ReservationHandlerTest, WhatIsQueuedIsToldWithItsTicket) {
  v1::CreateReservationRequest request = GoodRequest();
  EXPECT_TRUE(Create(request, clock_.Now() + absl::Seconds(2)).ok());
  EXPECT_FALSE(visitor_.accept_queued);
  request.set_accept_queued(true);
  answer_ = quota::Queued{.ticket = "t",
                          .ahead = 7,
                          .poll_after = absl::Milliseconds(1500),
                          .decide_at = absl::FromUnixSeconds(1'800'000'000)};
  const absl::StatusOr<Accepted> accepted = Create(request, clock_.Now() + absl::Seconds(2));
  EXPECT_TRUE(visitor_.accept_queued);
  ASSERT_TRUE(accepted.ok()) << accepted.status();
  v1::CreateReservationResponse response;
  handler_->Fill(*accepted, &response);
  EXPECT_FALSE(response.has_reservation());
  EXPECT_EQ(response.queued().ticket(), "t");
  EXPECT_EQ(response.queued().ahead(), 7);
  EXPECT_EQ(response.queued().poll_after().seconds(), 1);
  EXPECT_EQ(response.queued().poll_after().nanos(), 500'000'000);
  EXPECT_EQ(response.queued().decide_time().seconds(), 1'800'000'000);
  EXPECT_THAT(Happened(handler_->outcomes()), ElementsAre(Pair("created", 1), Pair("queued", 1)));
}

// Its row says so, whoever asks for the id again.
TEST_F(ReservationHandlerTest, AClaimThatWasQueuedAndRefusedStaysRefused) {
  quota::Sold refused{.reservation = {}, .replayed = true};
  refused.reservation.state = storage::ReservationState::kCancelled;
  refused.reservation.cancel_reason = storage::ToCancelReason(storage::Refusal::kSoldOut);
  answer_ = refused;
  const absl::Status error = CreateError(GoodRequest());
  EXPECT_EQ(ReasonOf(error), "SOLD_OUT");
  EXPECT_EQ(MetadataOf(error, "sku_id"), "tv");
  // One that was sold, and had a hold, is told as ever, whatever it was cancelled for.
  refused.reservation.expires_at = refused.reservation.created_at + absl::Minutes(15);
  answer_ = refused;
  EXPECT_TRUE(CreateError(GoodRequest()).ok());
  EXPECT_THAT(Happened(handler_->outcomes()), ElementsAre(Pair("SOLD_OUT", 1), Pair("replayed", 1)));
}

TEST_F(ReservationHandlerTest, ANodeThatIsNotReadySendsCallersElsewhere) {
  const auto sell_too_early = [](auto, auto, auto, auto, auto) { FAIL() << "sold before it was ready"; };
  ReservationHandler starting(sell_too_early, shard_->books(), &clock_);
  absl::Status error;
  starting.Create(GoodRequest(), clock_.Now() + absl::Seconds(1),
                  [&](const absl::StatusOr<Accepted>& accepted) { error = accepted.status(); });
  EXPECT_EQ(ReasonOf(error), "EXHAUSTED_HERE");
}

TEST_F(ReservationHandlerTest, EveryClaimIsCountedByItsOutcome) {
  int told = 0;
  handler_->outcomes().ForEach([&](const std::string& outcome, int64_t count) {
    EXPECT_EQ(count, 0) << outcome;
    told += outcome == "created" || outcome == "replayed" || outcome == "SOLD_OUT";
  });
  EXPECT_EQ(told, 3) << "known before they happen";
  for (const bool replayed : {false, false, true}) {
    answer_ = quota::Sold{.reservation = {}, .replayed = replayed};
    EXPECT_TRUE(Create(GoodRequest(), clock_.Now() + absl::Seconds(2)).ok());
  }
  answer_ = quota::Refused{.refusal = storage::Refusal::kSoldOut};
  EXPECT_FALSE(CreateError(GoodRequest()).ok());
  answer_ = quota::Refused{.refusal = storage::Refusal::kInternal};
  EXPECT_FALSE(CreateError(GoodRequest()).ok());
  v1::CreateReservationRequest bad = GoodRequest();
  bad.set_quantity(0);
  EXPECT_FALSE(CreateError(bad).ok());
  EXPECT_THAT(Happened(handler_->outcomes()),
              ElementsAre(Pair("INTERNAL", 1), Pair("QUANTITY_INVALID", 1), Pair("SOLD_OUT", 1), Pair("created", 2),
                          Pair("replayed", 1)));
}

TEST_F(ReservationHandlerTest, GetAnswersFromTheLedger) {
  EXPECT_EQ(ReasonOf(Get("").status()), "RESERVATION_ID_REQUIRED");
  EXPECT_EQ(ReasonOf(Get("x").status()), "RESERVATION_ID_MALFORMED");
  EXPECT_EQ(ReasonOf(Get(kClaimId).status()), "RESERVATION_NOT_FOUND");
  EXPECT_EQ(MetadataOf(Get(kClaimId).status(), "reservation_id"), kClaimId);
  ledger_.FailNext(1);
  EXPECT_EQ(ReasonOf(Get(kClaimId).status()), "LEDGER_UNAVAILABLE");

  storage::Sku sku;
  sku.sku_id = "tv";
  sku.currency = "EUR";
  sku.stock = 1;
  ASSERT_TRUE(ledger_.CreateSku(sku, "test").ok());
  const auto incarnation = ledger_.RegisterIncarnation("n", "a:1");
  ASSERT_TRUE(incarnation.ok());
  ASSERT_TRUE(ledger_.MoveUnits("tv", {{*incarnation, 1}}, std::nullopt, "test").ok());
  const storage::ReservationClaim claim{*storage::Uuid::Parse(kClaimId), "tv", "u1", 1};
  ASSERT_TRUE(ledger_.CommitReservations(*incarnation, storage::LockMode::kWait, {&claim, 1}).ok());
  const auto found = Get(kClaimId);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->user_id, "u1");
}

TEST_F(ReservationHandlerTest, GetIsRefusedWhenTooManyWait) {
  Build(/*queue=*/1);
  ledger_.BlockCalls();
  v1::GetReservationRequest request;
  request.set_reservation_id(kClaimId);
  absl::Notification first, second;
  const absl::Time no_hurry = absl::InfiniteFuture();
  handler_->Get(request, no_hurry, [&](auto) { first.Notify(); });
  ledger_.AwaitBlocked(1);
  handler_->Get(request, no_hurry, [&](auto) { second.Notify(); });  // waits in the queue
  absl::Status third;
  handler_->Get(request, no_hurry, [&](absl::StatusOr<storage::Reservation> found) { third = found.status(); });
  EXPECT_EQ(ReasonOf(third), "OVERLOADED");
  ledger_.ReleaseCalls();
  first.WaitForNotification();
  second.WaitForNotification();
}

// Its caller has gone while it waited for a thread.
TEST_F(ReservationHandlerTest, GetAsksNothingAfterItsDeadline) {
  ledger_.BlockCalls();
  v1::GetReservationRequest request;
  request.set_reservation_id(kClaimId);
  absl::Notification first, second;
  absl::Status first_error, second_error;
  const absl::Time deadline = clock_.Now() + absl::Seconds(1);
  handler_->Get(request, deadline, [&](const absl::StatusOr<storage::Reservation>& found) {
    first_error = found.status();
    first.Notify();
  });
  ledger_.AwaitBlocked(1);
  handler_->Get(request, deadline, [&](const absl::StatusOr<storage::Reservation>& found) {
    second_error = found.status();
    second.Notify();
  });
  clock_.AdvanceBy(absl::Seconds(1));  // the only thread is in the ledger
  ledger_.ReleaseCalls();
  first.WaitForNotification();
  second.WaitForNotification();
  EXPECT_EQ(ReasonOf(first_error), "RESERVATION_NOT_FOUND") << "it was asked in time";
  EXPECT_EQ(ReasonOf(second_error), "DEADLINE_PASSED");
}

TEST_F(ReservationHandlerTest, MessagesTellTheTimeLeft) {
  storage::Reservation reservation;
  reservation.reservation_id = *storage::Uuid::Parse(kClaimId);
  reservation.created_at = clock_.Now();
  reservation.expires_at = clock_.Now() + absl::Minutes(15);
  clock_.AdvanceBy(absl::Minutes(5));
  v1::Reservation message;
  handler_->Fill(reservation, &message);
  EXPECT_EQ(message.remaining_hold().seconds(), 600);
  EXPECT_EQ(message.state(), v1::RESERVATION_STATE_PENDING);

  clock_.AdvanceBy(absl::Hours(1));
  message.Clear();
  handler_->Fill(reservation, &message);
  EXPECT_EQ(message.remaining_hold().seconds(), 0) << "never negative";

  reservation.state = storage::ReservationState::kConfirmed;
  message.Clear();
  handler_->Fill(reservation, &message);
  EXPECT_FALSE(message.has_remaining_hold()) << "a paid reservation does not lapse";
}

}  // namespace
}  // namespace tranche::server
