// What the front door says to claims.

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "server/admission/door_refusals.h"
#include "server/admission/purchase_token.h"
#include "tests/unit/server/admission/front_door_fixture.h"

namespace tranche::server {
namespace {

TEST_F(FrontDoorTest, ADoorOfWhichNothingIsKnownIsOpen) {
  EXPECT_FALSE(door_.closed_to_some());
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNone);
  EXPECT_EQ(door_.table(), nullptr);
  EXPECT_EQ(door_.counts().admitted.load(), 0u) << "by no policy";
  Publish();
  EXPECT_FALSE(door_.closed_to_some());
}

TEST_F(FrontDoorTest, ItOpensAgainWithItsLastPolicy) {
  SetPolicy("tv", kOneTryAnHour);
  EXPECT_TRUE(door_.closed_to_some());
  policies_.clear();
  Publish();
  EXPECT_FALSE(door_.closed_to_some());
  DenyUser("mallory");
  EXPECT_TRUE(door_.closed_to_some()) << "a list alone closes it, too";
}

TEST_F(FrontDoorTest, WhoIsDeniedIsDeniedWithoutAnyPolicy) {
  DenyUser("mallory");
  List(false, storage::AccessSubject::Kind::kAddress, "198.51.100.0/24");
  EXPECT_EQ(RefusalOf(Try("mallory")), Refusal::kDenied);
  EXPECT_EQ(RefusalOf(Try("alice", "tv", "198.51.100.9")), Refusal::kDenied);
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNone);
  EXPECT_EQ(RefusedBy(DoorCheck::kAccessList), 2u);
  AllowUser("alice");
  EXPECT_EQ(RefusalOf(Try("alice", "tv", "198.51.100.9")), Refusal::kNone) << "their own entry decides first";
}

TEST_F(FrontDoorTest, ASkusOwnPolicyReplacesThatOfAllWholly) {
  SetPolicy("*", kOneTryAnHour);
  SetPolicy("tv", "{}");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(RefusalOf(Try("alice", "tv")), Refusal::kNone);
  EXPECT_EQ(RefusalOf(Try("alice", "cable")), Refusal::kNone);
  EXPECT_EQ(RefusalOf(Try("alice", "radio")), Refusal::kRateLimited) << "one try over all SKUs with that policy";
}

TEST_F(FrontDoorTest, ALimitSaysWhichItIsAndWhenToComeAgain) {
  SetPolicy("tv", kOneTryAnHour);
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNone);
  const GateVerdict verdict = Try("alice");
  EXPECT_EQ(RefusalOf(verdict), Refusal::kRateLimited);
  EXPECT_EQ(AboutOf(verdict), "user");
  EXPECT_EQ(verdict.refused->retry_after, absl::Hours(1));
  EXPECT_EQ(RefusedBy(DoorCheck::kLimitUser), 1u);
  EXPECT_EQ(door_.counts().admitted.load(), 1u);
  EXPECT_EQ(RefusalOf(Try("bob")), Refusal::kNone);
  now_ += verdict.refused->retry_after;
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNone) << "what it said is true";
}

TEST_F(FrontDoorTest, ATryThatALaterLimitRefusesIsGivenBack) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_ADDRESS","tries":1,"per":"3600s","burst":1},)"
                  R"({"key":"KEY_USER","tries":2,"per":"3600s","burst":2}]})");
  EXPECT_EQ(RefusalOf(Try("alice", "tv", "203.0.113.7")), Refusal::kNone);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(AboutOf(Try("alice", "tv", "203.0.113.8")), "address") << "the same network";
  EXPECT_EQ(RefusalOf(Try("alice", "tv", "198.51.100.1")), Refusal::kNone) << "the limit by user has one left";
  EXPECT_EQ(AboutOf(Try("alice", "tv", "192.0.2.1")), "user") << "the first of the limits that refuse";
}

// Limits by user, address and token are against floods, also of tries that nothing would come of.
TEST_F(FrontDoorTest, ATryThatTheLotteryRefusesStaysCounted) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":2,"per":"3600s","burst":2}],)"
                  R"("lottery":{"admitted_per_million":1}})");
  for (int i = 0; i < 2; ++i) EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNotAdmitted);
  EXPECT_EQ(AboutOf(Try("alice")), "user");
}

TEST_F(FrontDoorTest, ATryThatTheTokenRefusesStaysCounted) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"3600s"}],"purchase_token":{}})");
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kPurchaseTokenRequired);
  EXPECT_EQ(AboutOf(Try("alice", "tv", kAtHome, TokenFor("alice"))), "user");
}

// Otherwise whoever has neither could keep out all who have.
TEST_F(FrontDoorTest, WithoutLuckOrATokenNobodyUsesUpTheTriesOfASku) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_SKU","tries":1,"per":"3600s"}],)"
                  R"("lottery":{"admitted_per_million":1},"purchase_token":{}})");
  SetPolicy("cable", R"({"limits":[{"key":"KEY_SKU","tries":1,"per":"3600s"}],"purchase_token":{}})");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(RefusalOf(Try("mallory")), Refusal::kNotAdmitted);
    EXPECT_EQ(RefusalOf(Try("mallory", "cable")), Refusal::kPurchaseTokenRequired);
    EXPECT_EQ(RefusalOf(Try("mallory", "cable", kAtHome, "nonsense")), Refusal::kPurchaseTokenInvalid);
  }
  for (const char* sku : {"tv", "cable"}) {
    EXPECT_EQ(RefusalOf(Try("alice", sku, kAtHome, TokenFor("alice", sku))), Refusal::kNone);
    EXPECT_EQ(AboutOf(Try("bob", sku, kAtHome, TokenFor("bob", sku))), "sku");
  }
}

TEST_F(FrontDoorTest, ATryThatTheLimitBySkuRefusesIsGivenBackToTheOthers) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":2,"per":"3600s","burst":2},)"
                  R"({"key":"KEY_SKU","tries":1,"per":"2s"}]})");
  EXPECT_EQ(RefusalOf(Try("bob")), Refusal::kNone);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(AboutOf(Try("alice")), "sku");
  for (int i = 0; i < 2; ++i) {
    now_ += absl::Seconds(2);
    EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNone);
  }
  now_ += absl::Seconds(2);
  EXPECT_EQ(AboutOf(Try("alice")), "user");
}

TEST_F(FrontDoorTest, AnAddressThatIsNotKnownIsNotCounted) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_ADDRESS","tries":1,"per":"3600s"}]})");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(RefusalOf(Try("alice", "tv", "")), Refusal::kNone);
}

TEST_F(FrontDoorTest, ALimitBySkuCountsEverybody) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_SKU","tries":2,"per":"3600s","burst":2}]})");
  EXPECT_EQ(RefusalOf(Try("a", "tv", "192.0.2.1")), Refusal::kNone);
  EXPECT_EQ(RefusalOf(Try("b", "tv", "198.51.100.1")), Refusal::kNone);
  EXPECT_EQ(AboutOf(Try("c")), "sku");
}

TEST_F(FrontDoorTest, ALimitByTokenCountsTheTokenNotTheBuyer) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":9,"per":"3600s","burst":9},)"
                  R"({"key":"KEY_TOKEN","tries":1,"per":"3600s"}],"purchase_token":{}})");
  const std::string token = TokenFor("alice");
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, token)), Refusal::kNone);
  EXPECT_EQ(AboutOf(Try("alice", "tv", kAtHome, token)), "token");
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, TokenFor("alice"))), Refusal::kNone);
}

TEST_F(FrontDoorTest, WhoMayWaitIsTakenAndToldHowLong) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"2s","max_wait":"2s"},)"
                  R"({"key":"KEY_SKU","tries":1,"per":"1s","max_wait":"3s"}]})");
  EXPECT_EQ(Try("alice").wait, absl::ZeroDuration());
  const GateVerdict verdict = Try("alice");
  EXPECT_EQ(RefusalOf(verdict), Refusal::kNone);
  EXPECT_EQ(verdict.wait, absl::Seconds(2)) << "the longest of all";
  EXPECT_EQ(WaitedAt(DoorCheck::kLimitUser), 1u);
  EXPECT_EQ(WaitedAt(DoorCheck::kLimitSku), 1u);
  EXPECT_EQ(AboutOf(Try("alice")), "user") << "four seconds are too long";
}

TEST_F(FrontDoorTest, TheLotteryAdmitsByRankAndTellsWhenToAskAgain) {
  SetPolicy("tv", kLotteryAsked, 300'000);
  int admitted = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string user = "user-" + std::to_string(i);
    const GateVerdict verdict = Try(user);
    const bool in = Rank(round_key_, "tv", 1, user) < Threshold(300'000);
    ASSERT_EQ(RefusalOf(verdict), in ? Refusal::kNone : Refusal::kNotAdmitted) << user;
    ASSERT_EQ(RefusalOf(Try(user)), RefusalOf(verdict)) << "the same at each try";
    if (in) {
      ++admitted;
      continue;
    }
    EXPECT_GE(verdict.refused->retry_after, absl::Seconds(16));
    EXPECT_LE(verdict.refused->retry_after, absl::Seconds(24));
  }
  EXPECT_NEAR(admitted, 300, 60);
}

TEST_F(FrontDoorTest, ATokenIsAskedForAndReadForItsBuyerAndSku) {
  SetPolicy("tv", kTokenAsked);
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kPurchaseTokenRequired);
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, TokenFor("alice"))), Refusal::kNone);
  for (const std::string& token : {TokenFor("bob"), TokenFor("alice", "cable")}) {
    const GateVerdict verdict = Try("alice", "tv", kAtHome, token);
    EXPECT_EQ(RefusalOf(verdict), Refusal::kPurchaseTokenInvalid);
    EXPECT_EQ(AboutOf(verdict), "not_for_this");
  }
  EXPECT_EQ(AboutOf(Try("alice", "tv", kAtHome, "nonsense")), "unreadable");
  const std::string token = TokenFor("alice");
  now_ += absl::Minutes(3);
  EXPECT_EQ(AboutOf(Try("alice", "tv", kAtHome, token)), "expired");
}

TEST_F(FrontDoorTest, AGoodTokenSkipsTheLotteryAndABadOneDoesNot) {
  SetPolicy("tv", R"({"lottery":{"admitted_per_million":1},"purchase_token":{}})");
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, TokenFor("alice"))), Refusal::kNone);
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, TokenFor("bob"))), Refusal::kNotAdmitted);
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNotAdmitted) << "before the token is asked for";
}

TEST_F(FrontDoorTest, ATokenSaysNothingWhereNoneIsAskedFor) {
  SetPolicy("tv", kLotteryAsked);
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, TokenFor("alice"))), Refusal::kNotAdmitted);
}

TEST_F(FrontDoorTest, WhoIsAllowedSkipsLimitsAndLotteryButNotTheToken) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"3600s"}],)"
                  R"("lottery":{"admitted_per_million":1},"purchase_token":{}})");
  AllowUser("alice");
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kPurchaseTokenRequired);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, TokenFor("alice"))), Refusal::kNone);
  EXPECT_EQ(RefusalOf(Try("bob")), Refusal::kNotAdmitted);
}

TEST_F(FrontDoorTest, APolicyThatCannotBeReadSendsBuyersElsewhere) {
  SetPolicy("*", R"({"turnstile":{}})");
  AllowUser("alice");
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kExhaustedHere) << "also those on the list";
  EXPECT_EQ(RefusalOf(Try("bob")), Refusal::kExhaustedHere);
  EXPECT_EQ(RefusedBy(DoorCheck::kPolicy), 2u);
  EXPECT_EQ(Enter("bob").refused->refusal, Refusal::kExhaustedHere);
}

TEST_F(FrontDoorTest, ACartIsOneTryForEachPolicy) {
  SetPolicy("*", kOneTryAnHour);
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":2,"per":"3600s","burst":2}]})");
  EXPECT_EQ(RefusalOf(TryCart("alice", {{"cable"}, {"radio"}, {"tv"}, {"cable"}})), Refusal::kNone);
  EXPECT_EQ(door_.counts().admitted.load(), 1u);
  const GateVerdict verdict = TryCart("alice", {{"tv"}, {"radio"}});
  EXPECT_EQ(RefusalOf(verdict), Refusal::kRateLimited);
  EXPECT_EQ(verdict.line, 1u) << "the first line of the policy that refuses";
  EXPECT_EQ(RefusalOf(Try("alice", "tv")), Refusal::kNone) << "the try of the other policy was given back";
  EXPECT_EQ(RefusalOf(Try("alice", "tv")), Refusal::kRateLimited);
}

TEST_F(FrontDoorTest, ACartNeedsAGoodTokenForEachLineThatAsksForOne) {
  SetPolicy("tv", kTokenAsked);
  SetPolicy("cable", kTokenAsked);
  const std::string tv = TokenFor("alice", "tv"), cable = TokenFor("alice", "cable");
  EXPECT_EQ(RefusalOf(TryCart("alice", {{"radio"}, {"tv", tv}, {"cable", cable}})), Refusal::kNone);
  const GateVerdict missing = TryCart("alice", {{"radio"}, {"tv", tv}, {"cable"}});
  EXPECT_EQ(RefusalOf(missing), Refusal::kPurchaseTokenRequired);
  EXPECT_EQ(missing.line, 2u);
  EXPECT_EQ(RefusalOf(TryCart("alice", {{"tv", tv}, {"cable", tv}})), Refusal::kPurchaseTokenInvalid);
}

TEST_F(FrontDoorTest, ATokenOfTwoLinesIsCountedOnce) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":9,"per":"3600s","burst":9},)"
                  R"({"key":"KEY_TOKEN","tries":1,"per":"3600s"}],"purchase_token":{}})");
  const std::string token = TokenFor("alice");
  EXPECT_EQ(RefusalOf(TryCart("alice", {{"tv", token}, {"tv", token}})), Refusal::kNone);
  EXPECT_EQ(AboutOf(TryCart("alice", {{"tv", token}, {"tv", TokenFor("alice")}})), "token");
}

TEST_F(FrontDoorTest, CountsOutliveAChangeOfThePolicy) {
  SetPolicy("tv", kOneTryAnHour);
  const RateTable* const table = door_.table();
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNone);
  SetPolicy("cable", kOneTryAnHour);
  SetPolicy("tv", kOneTryAnHour);
  EXPECT_EQ(door_.table(), table);
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kRateLimited);
}

TEST_F(FrontDoorTest, AwayFromTheirHomeABuyerHasAShareOfTheLimit) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":5,"per":"3600s","burst":5}]})");
  const storage::IncarnationId self = 1;
  const auto homes = std::make_shared<const Homes>(self, std::vector<storage::IncarnationId>{self, 2, 3, 4});
  door_.SetHomes(homes);
  for (const bool home : {true, false}) {
    std::string user = "user";
    while (homes->IsHome(RateKeyKind::kUser, "tv", user) != home) user += "+";
    int taken = 0;
    for (int i = 0; i < 10; ++i) taken += RefusalOf(Try(user)) == Refusal::kNone ? 1 : 0;
    EXPECT_EQ(taken, home ? 5 : 2) << user;
  }
}

// As they will do it: enter, claim, look again.
TEST_F(FrontDoorTest, ABuyerHasAllTheirTriesAtOnceUnlessThePolicySaysOtherwise) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":5,"per":"10s"}]})");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNone) << i;
  const GateVerdict verdict = Try("alice");
  EXPECT_EQ(RefusalOf(verdict), Refusal::kRateLimited);
  EXPECT_EQ(verdict.refused->retry_after, absl::Seconds(2));
}

TEST_F(FrontDoorTest, WaitsAreTheTurnQueues) {
  bool called = false;
  EXPECT_TRUE(door_.Park(absl::Milliseconds(500), [&] { called = true; }));
  clock_.AdvanceBy(absl::Milliseconds(499));
  turns_.CallDue();
  EXPECT_FALSE(called);
  clock_.AdvanceBy(absl::Milliseconds(1));
  turns_.CallDue();
  EXPECT_TRUE(called);
  turns_.End();
  EXPECT_FALSE(door_.Park(absl::Milliseconds(500), [] { FAIL() << "it was not taken"; }));
}

// Its token would look like a bad one here, and they would be told to get another one, or that they are not admitted.
TEST_F(FrontDoorTest, WithoutAKeyClaimsAreSentElsewhereAndHaveLostNoTry) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"3600s"}],)"
                  R"("lottery":{"admitted_per_million":1},"purchase_token":{}})");
  const std::string token = TokenFor("alice");
  const auto keys = std::exchange(keys_, std::make_shared<const FrontKeys>());
  Publish();
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, token)), Refusal::kExhaustedHere);
  EXPECT_EQ(TryCart("alice", {{"radio"}, {"tv", token}}).line, 1u);
  EXPECT_EQ(RefusedBy(DoorCheck::kPurchaseToken), 2u);
  for (const DoorOpinion& opinion : Opinions(token)) {
    if (opinion.check != DoorCheck::kPurchaseToken) continue;
    ASSERT_TRUE(opinion.refused.has_value());
    EXPECT_EQ(opinion.refused->refusal, Refusal::kExhaustedHere);
  }
  keys_ = keys;
  Publish();
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, token)), Refusal::kNone);
}

// It is large: it should end on the thread that changes the state, not on a claim's.
TEST_F(FrontDoorTest, AStateIsKeptWhileTheNextOneCounts) {
  SetPolicy("tv", kOneTryAnHour);
  const std::weak_ptr<const DoorState> first = door_.state();
  Publish();
  door_.SetHomes(std::make_shared<const Homes>());
  EXPECT_FALSE(first.expired()) << "a claim may still go by it";
  Publish();
  EXPECT_TRUE(first.expired());
}

TEST_F(FrontDoorTest, AServiceModeRefusesWhatIsNewWhoeverComes) {
  EXPECT_FALSE(door_.closed_to_some());
  SetMode(storage::ServiceMode::Kind::kChangesOnly, "Back soon.");
  EXPECT_TRUE(door_.closed_to_some()) << "also without a policy";
  AllowUser("vip");
  for (const char* user : {"alice", "vip"}) {
    const GateVerdict verdict = Try(user);
    ASSERT_EQ(RefusalOf(verdict), Refusal::kServiceLimited) << user;
    EXPECT_EQ(AboutOf(verdict), "CHANGES_ONLY");
    EXPECT_EQ(verdict.refused->pause_reason, "Back soon.");
    const DoorEntry entry = Enter(user);
    ASSERT_TRUE(entry.refused.has_value());
    EXPECT_EQ(entry.refused->refusal, Refusal::kServiceLimited);
  }
  EXPECT_EQ(RefusalOf(TryCart("alice", {{"radio"}, {"tv"}})), Refusal::kServiceLimited);
  SetPolicy("tv", R"({"draw":{}})");
  const quota::Visitor visitor;
  EXPECT_EQ(RefusalOf(door_.CheckDrawEntry("tv", "alice", visitor, now_, now_ + time_)), Refusal::kServiceLimited);
  SetMode(storage::ServiceMode::Kind::kNormal);
  EXPECT_EQ(RefusalOf(Try("alice", "radio")), Refusal::kNone);
}

TEST_F(FrontDoorTest, AServiceModeCountsNoTry) {
  SetPolicy("tv", kOneTryAnHour);
  SetMode(storage::ServiceMode::Kind::kReadOnly);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kServiceLimited);
  SetMode(storage::ServiceMode::Kind::kNormal);
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNone);
}

TEST_F(FrontDoorTest, OnlyReadOnlyRefusesChanges) {
  EXPECT_FALSE(door_.RefusesChanges().has_value());
  SetMode(storage::ServiceMode::Kind::kChangesOnly);
  EXPECT_FALSE(door_.RefusesChanges().has_value());
  SetMode(storage::ServiceMode::Kind::kReadOnly, "why");
  ASSERT_TRUE(door_.RefusesChanges().has_value());
  EXPECT_EQ(door_.RefusesChanges()->about, "READ_ONLY");
  EXPECT_EQ(door_.RefusesChanges()->pause_reason, "why");
  SetMode(storage::ServiceMode::Kind::kNormal);
  EXPECT_FALSE(door_.RefusesChanges().has_value());
  EXPECT_FALSE(door_.closed_to_some());
}

TEST(DoorRefusals, WaitsAreRoundedUpAndNeverDown) {
  for (int64_t us = 1; us < 200'000'000; us += us / 7 + 1) {
    const absl::Duration wait = absl::Microseconds(us);
    EXPECT_GE(RoundedUp(wait), wait);
    EXPECT_LE(RoundedUp(wait), wait + std::max(absl::Milliseconds(1), 0.1 * wait));
  }
}

// The state changes while claims are checked: each goes by one state, and none gets more than the limit.
TEST_F(FrontDoorTest, ClaimsAreCheckedWhileTheStateChanges) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":100,"per":"86400s","burst":100}]})");
  std::atomic<int> taken{0};
  std::atomic<bool> stop{false};
  std::thread changer([&] {
    while (!stop) {
      Publish();
      door_.SetHomes(std::make_shared<const Homes>());
    }
  });
  std::vector<std::thread> buyers;
  for (int i = 0; i < 3; ++i) {
    buyers.emplace_back([&] {
      for (int n = 0; n < 1000; ++n) taken += RefusalOf(Try("alice")) == Refusal::kNone ? 1 : 0;
    });
  }
  for (std::thread& buyer : buyers) buyer.join();
  stop = true;
  changer.join();
  EXPECT_EQ(taken.load(), 100);
}

}  // namespace
}  // namespace tranche::server
