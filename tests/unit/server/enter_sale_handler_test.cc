#include "server/handlers/enter_sale_handler.h"

#include <gmock/gmock.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/admission/door_rooms.h"
#include "server/admission/purchase_token.h"
#include "server/admission/room_rank.h"
#include "server/errors.h"
#include "server/proto_time.h"
#include "tests/unit/server/door_fixture.h"
#include "tests/unit/server/error_matchers.h"

namespace tranche::server {
namespace {

using ::testing::HasSubstr;

class EnterSaleHandlerTest : public ::testing::Test {
 protected:
  EnterSaleHandlerTest() { handler_.StartServing(); }

  using Answer = std::optional<absl::StatusOr<v1::EnterSaleResponse>>;

  static v1::EnterSaleRequest Request(const std::string& user = "alice") {
    v1::EnterSaleRequest request;
    request.set_sku_id("tv");
    request.set_user_id(user);
    return request;
  }
  // The answer appears there.
  std::shared_ptr<Answer> Begin(const v1::EnterSaleRequest& request, absl::Duration timeout = absl::Seconds(2),
                                const std::string& address = "") {
    auto answer = std::make_shared<Answer>();
    handler_.Enter(request, clock_.Now() + timeout, address, [answer](absl::StatusOr<v1::EnterSaleResponse> response) {
      EXPECT_FALSE(answer->has_value()) << "answered twice";
      *answer = std::move(response);
    });
    return answer;
  }
  absl::StatusOr<v1::EnterSaleResponse> Enter(const v1::EnterSaleRequest& request) {
    return Begin(request)->value_or(absl::InternalError("not answered"));
  }

  storage::FakeClock clock_;
  DoorOfTest door_{&clock_, /*max_waiting=*/1};
  std::optional<quota::Refused> sale_says_;
  EnterSaleHandler handler_{[this](const std::string& sku_id, quota::EntryChecked done) {
                              EXPECT_EQ(sku_id, "tv");
                              done(sale_says_);
                            },
                            &door_.door(), &clock_};
};

TEST_F(EnterSaleHandlerTest, EveryBadFieldIsNamed) {
  struct Case {
    const char* reason;
    const char* field;
    void (*spoil)(v1::EnterSaleRequest&);
  };
  const Case cases[] = {
      {"SKU_ID_REQUIRED", "sku_id", [](auto& r) { r.clear_sku_id(); }},
      {"SKU_ID_MALFORMED", "sku_id", [](auto& r) { r.set_sku_id("*"); }},
      {"USER_ID_REQUIRED", "user_id", [](auto& r) { r.clear_user_id(); }},
      {"FIELD_INVALID", "buyer_address", [](auto& r) { r.set_buyer_address("alice"); }},
      {"FIELD_INVALID", "challenge_solution", [](auto& r) { r.set_challenge_solution(std::string(4097, 's')); }},
      {"FIELD_INVALID", "waiting_ticket", [](auto& r) { r.set_waiting_ticket(std::string(513, 't')); }},
  };
  for (const Case& bad : cases) {
    v1::EnterSaleRequest request = Request();
    bad.spoil(request);
    const absl::Status error = Enter(request).status();
    EXPECT_EQ(ReasonOf(error), bad.reason) << error;
    EXPECT_EQ(MetadataOf(error, "field"), bad.field) << error;
  }
}

TEST_F(EnterSaleHandlerTest, WithoutAPolicyEverybodyIsAdmitted) {
  const auto entered = Enter(Request());
  ASSERT_TRUE(entered.ok()) << entered.status();
  EXPECT_TRUE(entered->admitted());
  EXPECT_EQ(entered->purchase_token(), "");
  EXPECT_FALSE(entered->has_lottery());
  EXPECT_FALSE(entered->has_retry_after());
}

TEST_F(EnterSaleHandlerTest, WhatTheSaleSaysComesBeforeTheDoorAndCostsNoTry) {
  door_.Set("tv", LimitByUser(1, absl::Hours(1)));
  sale_says_ = quota::Refused{.refusal = storage::Refusal::kSoldOut};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ReasonOf(Enter(Request()).status()), "SOLD_OUT");
  sale_says_.reset();
  EXPECT_TRUE(Enter(Request()).ok());
  EXPECT_EQ(ReasonOf(Enter(Request()).status()), "RATE_LIMITED");
}

TEST_F(EnterSaleHandlerTest, WhereADrawDecidesTheTokenForAnEntryNeedsNoUnit) {
  v1::FrontPolicy policy;
  policy.mutable_draw();
  policy.mutable_purchase_token();
  door_.Set("tv", policy);
  sale_says_ = quota::Refused{.refusal = storage::Refusal::kSoldOut};
  const auto entered = Enter(Request());
  ASSERT_TRUE(entered.ok()) << entered.status();
  EXPECT_NE(entered->purchase_token(), "");
  sale_says_ = quota::Refused{.refusal = storage::Refusal::kSalePaused};
  EXPECT_EQ(ReasonOf(Enter(Request()).status()), "SALE_PAUSED");
  policy.clear_draw();
  door_.Set("tv", policy);
  sale_says_ = quota::Refused{.refusal = storage::Refusal::kSoldOut};
  EXPECT_EQ(ReasonOf(Enter(Request()).status()), "SOLD_OUT");
}

TEST_F(EnterSaleHandlerTest, WhoIsAdmittedGetsATokenForThisSkuAndBuyer) {
  v1::FrontPolicy policy;
  policy.mutable_purchase_token()->mutable_lifetime()->set_seconds(60);
  door_.Set("tv", policy);
  const auto entered = Enter(Request());
  ASSERT_TRUE(entered.ok()) << entered.status();
  EXPECT_TRUE(entered->admitted());
  const auto problem = [&](const char* sku, const char* user) {
    return ReadPurchaseToken(door_.keys(), entered->purchase_token(), sku, user, clock_.Now()).problem;
  };
  EXPECT_EQ(problem("tv", "alice"), TokenProblem::kNone);
  EXPECT_EQ(problem("tv", "bob"), TokenProblem::kNotForThis);
  EXPECT_EQ(problem("radio", "alice"), TokenProblem::kNotForThis);
  const absl::Duration good_for = *FromTimestamp(entered->token_expire_time()) - clock_.Now();
  EXPECT_GT(good_for, absl::Seconds(50));
  EXPECT_LE(good_for, absl::Seconds(60));
}

TEST_F(EnterSaleHandlerTest, WhoIsNotAdmittedIsToldTheirRankAndWhenToComeAgain) {
  v1::FrontPolicy policy;
  policy.mutable_lottery()->set_admitted_per_million(1);
  policy.mutable_purchase_token();
  const storage::LotteryRound round = DoorOfTest::Round(3, 1);
  door_.Set("tv", policy, round);
  const auto entered = Enter(Request());
  ASSERT_TRUE(entered.ok()) << entered.status();
  EXPECT_FALSE(entered->admitted()) << "one of a million would be";
  EXPECT_EQ(entered->purchase_token(), "");
  EXPECT_GT(*FromDuration(entered->retry_after()), absl::ZeroDuration());
  ASSERT_TRUE(entered->has_lottery());
  EXPECT_EQ(entered->lottery().round(), 3);
  EXPECT_EQ(entered->lottery().commitment(), round.commitment);
  EXPECT_EQ(entered->lottery().rank(), Rank(round.key, "tv", 3, "alice"));
  EXPECT_EQ(entered->lottery().threshold(), Threshold(1));
  EXPECT_THAT(entered->SerializeAsString(), ::testing::Not(HasSubstr(round.key)));
}

TEST_F(EnterSaleHandlerTest, ARoomIsJoinedBeforeTheOpening) {
  const storage::LotteryRound round = DoorOfTest::Round(3, storage::kEverybody);
  door_.Set("tv", RoomPolicyOfTest(), round);
  door_.ShowBoard("tv", 3, UINT64_MAX, clock_.Now());
  sale_says_ = quota::Refused{.refusal = storage::Refusal::kSaleNotOpen};
  const auto joined = Enter(Request());
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_FALSE(joined->admitted()) << "whatever the threshold is";
  EXPECT_EQ(joined->purchase_token(), "");
  EXPECT_GT(*FromDuration(joined->retry_after()), absl::ZeroDuration());
  EXPECT_FALSE(joined->has_lottery());
  ASSERT_TRUE(joined->has_place());
  EXPECT_NE(joined->place().ticket(), "");
  EXPECT_TRUE(joined->place().shuffled());
  EXPECT_EQ(joined->place().round(), 3);
  EXPECT_EQ(joined->place().commitment(), round.commitment);
  EXPECT_EQ(joined->place().rank(), ShuffledRank(round.key, "tv", 3, "alice"));
  EXPECT_FALSE(joined->place().has_expected_wait());
  EXPECT_THAT(joined->SerializeAsString(), ::testing::Not(HasSubstr(round.key)));
}

TEST_F(EnterSaleHandlerTest, WhoJoinedEarlyIsLetInByTheirTicketAfterTheOpening) {
  door_.Set("tv", RoomPolicyOfTest(), DoorOfTest::Round(3, storage::kEverybody));
  sale_says_ = quota::Refused{.refusal = storage::Refusal::kSaleNotOpen};
  v1::EnterSaleRequest request = Request();
  request.set_waiting_ticket(Enter(request)->place().ticket());
  sale_says_.reset();
  door_.ShowBoard("tv", 3, kFirstLateRank, clock_.Now());
  const auto entered = Enter(request);
  ASSERT_TRUE(entered.ok()) << entered.status();
  EXPECT_TRUE(entered->admitted());
  EXPECT_NE(entered->purchase_token(), "");
  EXPECT_FALSE(entered->has_retry_after());
  EXPECT_EQ(entered->place().threshold(), kFirstLateRank);
  const auto late = Enter(Request("bob"));
  ASSERT_TRUE(late.ok()) << late.status();
  EXPECT_FALSE(late->admitted());
  EXPECT_FALSE(late->place().shuffled());
}

TEST_F(EnterSaleHandlerTest, WhoWaitsIsToldHowManyComeBeforeAndAsOfWhen) {
  door_.Set("tv", RoomPolicyOfTest(), DoorOfTest::Round(3, storage::kEverybody));
  EXPECT_FALSE(Enter(Request())->place().has_ahead()) << "nothing is known yet";
  EXPECT_FALSE(Enter(Request())->place().has_as_of());
  RoomCounts waiting;
  waiting.Add(0, 1'000);
  const absl::Time computed_at = clock_.Now();
  door_.ShowBoard("tv", 3, 0, computed_at, waiting);
  clock_.AdvanceBy(absl::Seconds(1));
  const auto waits = Enter(Request());
  ASSERT_TRUE(waits.ok()) << waits.status();
  EXPECT_EQ(waits->place().ahead(), 1'000);
  EXPECT_EQ(*FromTimestamp(waits->place().as_of()), computed_at);
  ASSERT_TRUE(waits->place().has_expected_wait());
  EXPECT_NEAR(absl::ToDoubleSeconds(*FromDuration(waits->place().expected_wait())), 10, 1) << "a hundred each second";
}

TEST_F(EnterSaleHandlerTest, OnlyWhoseSkuHasARoomWaitsWhileTheSaleIsHeld) {
  door_.Set("tv", LimitByUser(1'000, absl::Seconds(1)));
  sale_says_ = quota::Refused{.refusal = storage::Refusal::kSalePaused};
  EXPECT_EQ(ReasonOf(Enter(Request()).status()), "SALE_PAUSED");
  sale_says_ = quota::Refused{.refusal = storage::Refusal::kSoldOut, .holds_may_lapse = true};
  EXPECT_EQ(ReasonOf(Enter(Request()).status()), "SOLD_OUT");
}

TEST_F(EnterSaleHandlerTest, OnlyWhoseSkuHasARoomJoinsBeforeTheOpening) {
  sale_says_ = quota::Refused{.refusal = storage::Refusal::kSaleNotOpen};
  EXPECT_EQ(ReasonOf(Enter(Request()).status()), "SALE_NOT_OPEN") << "no policy";
  v1::FrontPolicy policy = RoomPolicyOfTest();
  policy.clear_room();
  door_.Set("tv", policy);
  EXPECT_EQ(ReasonOf(Enter(Request()).status()), "SALE_NOT_OPEN");
  door_.Set("tv", RoomPolicyOfTest(), DoorOfTest::Round(1, storage::kEverybody));
  EXPECT_TRUE(Enter(Request()).ok());
}

TEST_F(EnterSaleHandlerTest, WhileTheSaleIsHeldBuyersWaitInTheRoomAndAreToldWhy) {
  door_.Set("tv", RoomPolicyOfTest(), DoorOfTest::Round(1, storage::kEverybody));
  door_.ShowBoard("tv", 1, UINT64_MAX, clock_.Now());
  const quota::Refused cases[] = {
      {.refusal = storage::Refusal::kSalePaused, .pause_reason = "back at nine"},
      {.refusal = storage::Refusal::kSoldOut, .holds_may_lapse = true},
  };
  for (const quota::Refused& held : cases) {
    sale_says_ = held;
    const auto waits = Enter(Request());
    ASSERT_TRUE(waits.ok()) << waits.status();
    EXPECT_FALSE(waits->admitted()) << "whatever the threshold is";
    EXPECT_EQ(waits->purchase_token(), "");
    EXPECT_TRUE(waits->has_retry_after());
    EXPECT_FALSE(waits->place().shuffled()) << "the sale has opened";
    EXPECT_FALSE(waits->place().has_expected_wait()) << "nobody knows";
    EXPECT_EQ(waits->place().sale_refusal(), ReasonOf(RefusalError(held, "tv")));
    EXPECT_EQ(waits->place().sale_refusal_text(), held.pause_reason);
    const std::vector<RoomTallied> tallied = door_.door().rooms().Tallied(clock_.Now());
    ASSERT_EQ(tallied.size(), 1u);
    EXPECT_EQ(tallied[0].waiting.total(), 1u) << "who is not counted would be passed over";
  }
  sale_says_.reset();
  const auto entered = Enter(Request());
  EXPECT_TRUE(entered->admitted());
  EXPECT_EQ(entered->place().sale_refusal(), "");
}

TEST_F(EnterSaleHandlerTest, WhoJoinsDuringAPauseBeforeTheOpeningIsShuffled) {
  door_.Set("tv", RoomPolicyOfTest(), DoorOfTest::Round(1, storage::kEverybody));
  sale_says_ = quota::Refused{.refusal = storage::Refusal::kSalePaused, .opens_at = clock_.Now() + absl::Seconds(1)};
  const auto early = Enter(Request());
  ASSERT_TRUE(early.ok()) << early.status();
  EXPECT_TRUE(early->place().shuffled());
  clock_.AdvanceBy(absl::Seconds(1));
  EXPECT_FALSE(Enter(Request("bob"))->place().shuffled()) << "its time has come";
}

TEST_F(EnterSaleHandlerTest, WhoIsSoonDueAsksAgainSoonAfterTheOpening) {
  door_.Set("tv", RoomPolicyOfTest(), DoorOfTest::Round(1, storage::kEverybody));
  door_.ShowBoard("tv", 1, 0, clock_.Now());
  sale_says_ = quota::Refused{.refusal = storage::Refusal::kSaleNotOpen, .opens_at = clock_.Now() + absl::Seconds(6)};
  const auto first = Enter(Request());
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(*FromDuration(first->retry_after()), absl::Seconds(3)) << "nobody comes before them";
  EXPECT_EQ(first->place().sale_refusal(), "SALE_NOT_OPEN");
  sale_says_->opens_at = clock_.Now() + absl::Hours(1);
  EXPECT_GE(*FromDuration(Enter(Request("bob"))->retry_after()), absl::Seconds(10));
}

TEST_F(EnterSaleHandlerTest, WhileAServiceModeLimitsBuyersWaitInTheRoomAndAreToldWhy) {
  door_.Set("tv", RoomPolicyOfTest(), DoorOfTest::Round(1, storage::kEverybody));
  door_.SetMode(storage::ServiceMode::Kind::kReadOnly, "we move house");
  const auto waits = Enter(Request());
  ASSERT_TRUE(waits.ok()) << waits.status();
  EXPECT_FALSE(waits->admitted());
  EXPECT_NE(waits->place().ticket(), "");
  EXPECT_EQ(waits->place().sale_refusal(), "SERVICE_LIMITED");
  EXPECT_EQ(waits->place().sale_refusal_text(), "we move house");
  sale_says_ = quota::Refused{.refusal = storage::Refusal::kSalePaused};
  EXPECT_EQ(Enter(Request())->place().sale_refusal(), "SALE_PAUSED") << "as a claim is told";
}

TEST_F(EnterSaleHandlerTest, WhatEndsTheSaleIsSaidToThoseWhoWaitToo) {
  door_.Set("tv", RoomPolicyOfTest(), DoorOfTest::Round(1, storage::kEverybody));
  sale_says_ = quota::Refused{.refusal = storage::Refusal::kSoldOut};
  EXPECT_EQ(ReasonOf(Enter(Request()).status()), "SOLD_OUT") << "no unit can come back";
  sale_says_ = quota::Refused{.refusal = storage::Refusal::kSaleClosed};
  EXPECT_EQ(ReasonOf(Enter(Request()).status()), "SALE_CLOSED");
}

// The policy may change while somebody is on their way from the sale's answer to the door.
TEST_F(EnterSaleHandlerTest, NobodyEntersBeforeTheOpeningThroughARoomThatIsTakenAway) {
  // Read right before the door is asked.
  struct MeddlingClock : storage::Clock {
    absl::Time Now() const override {
      meddle();
      return absl::FromUnixSeconds(1'000'000);
    }
    std::function<void()> meddle;
  };
  MeddlingClock clock;
  EnterSaleHandler handler(
      [](const std::string&, quota::EntryChecked done) {
        done(quota::Refused{.refusal = storage::Refusal::kSaleNotOpen});
      },
      &door_.door(), &clock);
  handler.StartServing();
  for (const bool with_policy : {true, false}) {
    door_.Set("tv", RoomPolicyOfTest(), DoorOfTest::Round(1, storage::kEverybody));
    clock.meddle = [&] {
      v1::FrontPolicy policy = RoomPolicyOfTest();
      policy.clear_room();
      if (with_policy) return door_.Set("tv", policy);
      door_.Remove("tv");
    };
    absl::Status error;
    handler.Enter(Request(), clock_.Now() + absl::Seconds(1), "",
                  [&](absl::StatusOr<v1::EnterSaleResponse> response) { error = response.status(); });
    EXPECT_EQ(ReasonOf(error), "SALE_NOT_OPEN") << with_policy;
  }
}

TEST_F(EnterSaleHandlerTest, WhoMustSolveAChallengeGetsNoTokenYet) {
  v1::FrontPolicy policy;
  policy.mutable_purchase_token();
  policy.mutable_challenge()->set_bits(8);
  door_.Set("tv", policy);
  v1::EnterSaleRequest request = Request();
  const auto first = Enter(request);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(first->admitted());
  EXPECT_EQ(first->purchase_token(), "");
  EXPECT_NE(first->challenge().altcha(), "");
  EXPECT_GT(*FromTimestamp(first->challenge().expire_time()), clock_.Now());
  EXPECT_EQ(first->challenge_problem(), "");
  request.set_challenge_solution("not a solution");
  const auto second = Enter(request);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->purchase_token(), "");
  EXPECT_EQ(second->challenge_problem(), "unreadable");
  EXPECT_NE(second->challenge().altcha(), "") << "another one";
}

TEST_F(EnterSaleHandlerTest, WhoIsOnTheListOrAtSuchAnAddressIsDenied) {
  door_.SetAccess({DenyUser("mallory"), DenyAddress("203.0.113.0/24")});
  EXPECT_EQ(ReasonOf(Enter(Request("mallory")).status()), "DENIED");
  EXPECT_TRUE(Enter(Request("alice")).ok());
  EXPECT_EQ(ReasonOf((*Begin(Request("alice"), absl::Seconds(2), "203.0.113.7"))->status()), "DENIED");
}

TEST_F(EnterSaleHandlerTest, WhoIsTooEarlyIsAnsweredWhenTheirTurnComes) {
  door_.Set("tv", LimitByUser(1, absl::Seconds(1), /*max_wait=*/absl::Seconds(2)));
  EXPECT_TRUE(Enter(Request()).ok());
  const auto waits = Begin(Request());
  EXPECT_FALSE(waits->has_value());
  door_.turns().CallDue();
  EXPECT_FALSE(waits->has_value());
  clock_.AdvanceBy(absl::Seconds(1));
  door_.turns().CallDue();
  ASSERT_TRUE(waits->has_value());
  EXPECT_TRUE((*waits)->ok()) << (*waits)->status();
}

TEST_F(EnterSaleHandlerTest, WhoseTurnWouldComeAfterTheDeadlineIsToldAtOnce) {
  door_.Set("tv", LimitByUser(1, absl::Seconds(1), /*max_wait=*/absl::Seconds(2)));
  EXPECT_TRUE(Enter(Request()).ok());
  const auto refused = Begin(Request(), /*timeout=*/absl::Milliseconds(500));
  ASSERT_TRUE(refused->has_value());
  EXPECT_EQ(ReasonOf((*refused)->status()), "RATE_LIMITED");
  EXPECT_EQ(MetadataOf((*refused)->status(), "retry_after_ms"), "1000");
  clock_.AdvanceBy(absl::Seconds(1));
  const auto entered = Begin(Request(), /*timeout=*/absl::Milliseconds(500));
  EXPECT_TRUE(entered->has_value() && (*entered)->ok()) << "who comes as they are told is let in";
}

TEST_F(EnterSaleHandlerTest, WhenTooManyWaitTheNextIsToldAtOnce) {
  door_.Set("tv", LimitByUser(1, absl::Seconds(1), /*max_wait=*/absl::Seconds(2)));
  for (const char* user : {"alice", "bob"}) EXPECT_TRUE(Enter(Request(user)).ok());
  const auto waits = Begin(Request("alice"));
  EXPECT_FALSE(waits->has_value());
  const auto refused = Begin(Request("bob"));
  ASSERT_TRUE(refused->has_value());
  EXPECT_EQ(ReasonOf((*refused)->status()), "RATE_LIMITED");
  clock_.AdvanceBy(absl::Seconds(1));
  EXPECT_TRUE(Enter(Request("bob")).ok()) << "no try was used up";
  door_.turns().CallDue();
  EXPECT_TRUE(waits->has_value());
}

TEST_F(EnterSaleHandlerTest, WhoWaitsWhenTheNodeEndsIsSentElsewhere) {
  v1::FrontPolicy policy = LimitByUser(1, absl::Seconds(1), /*max_wait=*/absl::Seconds(2));
  policy.mutable_purchase_token();
  door_.Set("tv", policy);
  EXPECT_TRUE(Enter(Request()).ok());
  const auto waits = Begin(Request());
  EXPECT_FALSE(waits->has_value());
  handler_.SetAccepting(false);
  door_.turns().End();
  ASSERT_TRUE(waits->has_value());
  EXPECT_EQ(ReasonOf((*waits)->status()), "DRAINING");
  handler_.SetAccepting(true);
  clock_.AdvanceBy(absl::Seconds(1));
  const auto ended = Begin(Request());
  ASSERT_TRUE(ended->has_value());
  EXPECT_EQ(ReasonOf((*ended)->status()), "DRAINING") << "where nobody can wait any more";
}

TEST_F(EnterSaleHandlerTest, ANodeThatDrainsOrIsNotReadySendsCallersElsewhere) {
  handler_.SetAccepting(false);
  EXPECT_EQ(ReasonOf(Enter(Request()).status()), "DRAINING");
  handler_.SetAccepting(true);
  EXPECT_TRUE(Enter(Request()).ok());
  EnterSaleHandler starting([](const std::string&, quota::EntryChecked) { FAIL() << "asked before it was ready"; },
                            &door_.door(), &clock_);
  absl::Status error;
  starting.Enter(Request(), clock_.Now() + absl::Seconds(1), "",
                 [&](absl::StatusOr<v1::EnterSaleResponse> response) { error = response.status(); });
  EXPECT_EQ(ReasonOf(error), "EXHAUSTED_HERE");
}

}  // namespace
}  // namespace tranche::server
