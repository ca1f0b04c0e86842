// What the front door says to who comes before a claim, or enters a draw.

#include <memory>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "server/admission/lottery.h"
#include "server/admission/purchase_token.h"
#include "tests/unit/server/admission/front_door_fixture.h"
#include "tests/unit/server/admission/solved_challenge.h"

namespace tranche::server {
namespace {

std::string SolutionOf(const std::string& challenge) { return EncodeSolution(SolveAsBrowser(challenge)); }

TEST_F(FrontDoorTest, WithoutAPolicyThereIsNothingToDoBeforeAClaim) {
  const DoorEntry entry = Enter("alice", "a solution that nobody asked for");
  EXPECT_FALSE(entry.refused.has_value());
  EXPECT_TRUE(entry.admitted);
  EXPECT_EQ(entry.purchase_token, "");
  EXPECT_EQ(entry.challenge, "");
  EXPECT_EQ(entry.challenge_problem, "");
}

TEST_F(FrontDoorTest, WhatEntersIsGoodForAClaim) {
  SetPolicy("tv", R"({"purchase_token":{"lifetime":"60s"}})");
  const DoorEntry entry = Enter("alice", "a solution that nobody asked for");
  EXPECT_TRUE(entry.admitted);
  EXPECT_EQ(entry.challenge_problem, "");
  EXPECT_EQ(entry.token_expires_at, now_ + absl::Minutes(1));
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, entry.purchase_token)), Refusal::kNone);
  EXPECT_EQ(RefusalOf(Try("bob", "tv", kAtHome, entry.purchase_token)), Refusal::kPurchaseTokenInvalid);
  EXPECT_EQ(door_.counts().tokens_issued.load(), 1u);
}

TEST_F(FrontDoorTest, WhoIsNotAdmittedGetsTheirPlaceAndNoToken) {
  SetPolicy("tv", R"({"lottery":{"admitted_per_million":1},"purchase_token":{},"challenge":{"bits":8}})");
  const DoorEntry entry = Enter("alice");
  EXPECT_FALSE(entry.refused.has_value()) << "that is no error";
  EXPECT_FALSE(entry.admitted);
  EXPECT_EQ(entry.purchase_token, "");
  EXPECT_EQ(entry.challenge, "") << "work that would earn nothing";
  EXPECT_GE(entry.retry_after, absl::Seconds(16));
  ASSERT_TRUE(entry.lottery.has_value());
  EXPECT_EQ(entry.lottery->key, "") << "it is told when the round has ended";
  EXPECT_EQ(entry.lottery->commitment, Commitment(round_key_));
  EXPECT_EQ(entry.rank, Rank(round_key_, "tv", 1, "alice"));
  SetPolicy("tv", R"({"lottery":{"admitted_per_million":1000000},"purchase_token":{}})", 1'000'000);
  EXPECT_NE(Enter("alice").purchase_token, "");
}

TEST_F(FrontDoorTest, AChallengeComesBeforeTheToken) {
  SetPolicy("tv", R"({"purchase_token":{},"challenge":{"bits":8,"lifetime":"60s"}})");
  const DoorEntry first = Enter("alice");
  EXPECT_TRUE(first.admitted);
  EXPECT_EQ(first.purchase_token, "");
  EXPECT_NE(first.challenge, "");
  EXPECT_EQ(first.challenge_problem, "");
  EXPECT_EQ(first.challenge_expires_at, now_ + absl::Minutes(1));
  const DoorEntry wrong = Enter("alice", "nonsense");
  EXPECT_EQ(wrong.purchase_token, "");
  EXPECT_EQ(wrong.challenge_problem, "unreadable");
  EXPECT_NE(wrong.challenge, "") << "another one";
  EXPECT_EQ(door_.counts().challenges_issued.load(), 2u);
  EXPECT_EQ(door_.counts().challenges_refused.load(), 1u);
  EXPECT_EQ(door_.counts().challenges_solved.load(), 0u);
  AllowUser("alice");
  EXPECT_NE(Enter("alice").purchase_token, "") << "who is on the list need not solve it";
}

TEST_F(FrontDoorTest, ASolvedChallengeEarnsATokenForItsBuyerAlone) {
  SetPolicy("tv", R"({"purchase_token":{},"challenge":{"bits":4}})");
  const std::string solution = SolutionOf(Enter("alice").challenge);
  const DoorEntry entry = Enter("alice", solution);
  EXPECT_EQ(entry.challenge_problem, "");
  EXPECT_EQ(entry.challenge, "");
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, entry.purchase_token)), Refusal::kNone);
  EXPECT_EQ(door_.counts().challenges_solved.load(), 1u);
  const DoorEntry bobs = Enter("bob", solution);
  EXPECT_EQ(bobs.challenge_problem, "not_for_this");
  EXPECT_EQ(bobs.purchase_token, "");
}

TEST_F(FrontDoorTest, EnteringIsATryLikeAClaim) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":2,"per":"3600s","burst":2}],"purchase_token":{}})");
  const std::string token = Enter("alice").purchase_token;
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, token)), Refusal::kNone);
  const DoorEntry entry = Enter("alice");
  ASSERT_TRUE(entry.refused.has_value());
  EXPECT_EQ(entry.refused->refusal, Refusal::kRateLimited);
  EXPECT_EQ(entry.refused->about, "user");
  EXPECT_EQ(entry.purchase_token, "");
}

TEST_F(FrontDoorTest, WhoEntersTooEarlyMayWait) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"1s","max_wait":"1s"}],"purchase_token":{}})");
  EXPECT_EQ(Enter("alice").wait, absl::ZeroDuration());
  const DoorEntry entry = Enter("alice");
  EXPECT_EQ(entry.wait, absl::Seconds(1));
  EXPECT_NE(entry.purchase_token, "");
}

// Otherwise each try would put off the next one, and the buyer would never be let in.
TEST_F(FrontDoorTest, WhoHasNoTimeToWaitIsLetInWhenTheyComeAsTheyAreTold) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"2s","max_wait":"3s"}],"purchase_token":{}})");
  const std::string token = TokenFor("alice");
  time_ = absl::Seconds(1);
  EXPECT_FALSE(Enter("alice").refused.has_value());
  for (int i = 0; i < 5; ++i) {
    const GateVerdict verdict = Try("alice", "tv", kAtHome, token);
    EXPECT_EQ(RefusalOf(verdict), Refusal::kRateLimited);
    EXPECT_EQ(AboutOf(verdict), "user");
    ASSERT_EQ(verdict.refused->retry_after, absl::Seconds(2)) << "no try has been counted";
  }
  const DoorEntry entry = Enter("alice");
  ASSERT_TRUE(entry.refused.has_value());
  EXPECT_EQ(entry.refused->refusal, Refusal::kRateLimited);
  EXPECT_EQ(entry.purchase_token, "");
  EXPECT_EQ(door_.counts().tokens_issued.load(), 1u) << "only that of the first time";
  now_ += entry.refused->retry_after;
  const GateVerdict verdict = Try("alice", "tv", kAtHome, token);
  EXPECT_EQ(RefusalOf(verdict), Refusal::kNone);
  EXPECT_EQ(verdict.wait, absl::ZeroDuration());
  EXPECT_EQ(WaitedAt(DoorCheck::kLimitUser), 0u);
}

TEST_F(FrontDoorTest, AWaitEndsBeforeTheDeadline) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"2s","max_wait":"2s"}]})");
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNone);
  time_ = absl::Seconds(2);
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kRateLimited) << "nobody hears an answer at the deadline";
  time_ = absl::Milliseconds(2001);
  EXPECT_EQ(Try("alice").wait, absl::Seconds(2));
}

TEST_F(FrontDoorTest, WhoFindsTooManyWaitingHasLostNoTry) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"2s","max_wait":"2s"}],"purchase_token":{}})");
  const std::string token = TokenFor("alice");
  EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, token)), Refusal::kNone);
  ASSERT_TRUE(door_.Park(absl::Hours(1), [] {})) << "the only place";
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, token)), Refusal::kRateLimited);
    EXPECT_EQ(Enter("alice").refused->retry_after, absl::Seconds(2));
  }
  EXPECT_EQ(door_.counts().parked_full.load(), 10u);
  EXPECT_EQ(RefusedBy(DoorCheck::kLimitUser), 10u);
  EXPECT_EQ(door_.counts().tokens_issued.load(), 0u);
  EXPECT_EQ(RefusalOf(Try("bob", "tv", kAtHome, TokenFor("bob"))), Refusal::kNone)
      << "who need not wait needs no place";
  turns_.End();
  now_ += absl::Seconds(2);
  const GateVerdict verdict = Try("alice", "tv", kAtHome, token);
  EXPECT_EQ(RefusalOf(verdict), Refusal::kNone);
  EXPECT_EQ(verdict.wait, absl::ZeroDuration());
}

TEST_F(FrontDoorTest, WhoIsDeniedDoesNotEnter) {
  SetPolicy("tv", kTokenAsked);
  DenyUser("mallory");
  const DoorEntry entry = Enter("mallory");
  ASSERT_TRUE(entry.refused.has_value());
  EXPECT_EQ(entry.refused->refusal, Refusal::kDenied);
  EXPECT_EQ(entry.purchase_token, "");
}

TEST_F(FrontDoorTest, WhoEntersWithoutLuckOrASolutionUsesUpNoTryOfTheSku) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_SKU","tries":1,"per":"3600s"}],)"
                  R"("purchase_token":{},"challenge":{"bits":4}})");
  const std::string alices = Enter("alice").challenge;
  const std::string bobs = Enter("bob").challenge;
  ASSERT_NE(bobs, "") << "alice has not used up the try";
  EXPECT_EQ(Enter("bob", "nonsense").challenge_problem, "unreadable");
  EXPECT_NE(Enter("alice", SolutionOf(alices)).purchase_token, "");
  const DoorEntry entry = Enter("bob", SolutionOf(bobs));
  ASSERT_TRUE(entry.refused.has_value());
  EXPECT_EQ(entry.refused->about, "sku");
  EXPECT_EQ(entry.purchase_token, "");
  EXPECT_EQ(door_.counts().tokens_issued.load(), 1u);

  const std::string drawn = R"({"limits":[{"key":"KEY_SKU","tries":2,"per":"3600s"}],)"
                            R"("lottery":{"admitted_per_million":1}})";
  now_ += absl::Hours(2);
  SetPolicy("tv", drawn);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(Enter("alice").admitted);
  SetPolicy("tv", drawn, 1'000'000);
  EXPECT_FALSE(Enter("alice").refused.has_value());
}

TEST_F(FrontDoorTest, WithoutAKeyBuyersAreSentElsewhereAndHaveLostNoTry) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"3600s"}],"purchase_token":{}})");
  const auto keys = std::exchange(keys_, std::make_shared<const FrontKeys>());
  Publish();
  EXPECT_EQ(Enter("alice").refused->refusal, Refusal::kExhaustedHere);
  keys_ = keys;
  Publish();
  EXPECT_NE(Enter("alice").purchase_token, "");
}

TEST_F(FrontDoorTest, WhereADrawDecidesClaimsAreRefusedAndCostNoTry) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"3600s"}],"purchase_token":{},"draw":{}})");
  AllowUser("vip");
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(RefusalOf(Try("alice", "tv", kAtHome, TokenFor("alice"))), Refusal::kDrawDecides);
  EXPECT_EQ(RefusalOf(Try("vip")), Refusal::kDrawDecides) << "the list does not help";
  const GateVerdict cart = TryCart("alice", {{"radio"}, {"tv"}});
  EXPECT_EQ(RefusalOf(cart), Refusal::kDrawDecides);
  EXPECT_EQ(cart.line, 1u);
  EXPECT_EQ(RefusedBy(DoorCheck::kDraw), 5u);
  EXPECT_EQ(RefusedBy(DoorCheck::kLimitUser), 0u);
  EXPECT_EQ(RefusalOf(EnterDraw("alice", TokenFor("alice"))), Refusal::kNone) << "no try was used up";
  EXPECT_EQ(RefusalOf(Try("alice", "radio")), Refusal::kNone);
}

TEST_F(FrontDoorTest, AnEntryIntoADrawPassesTheOtherChecks) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"3600s"}],"purchase_token":{},"draw":{}})");
  DenyUser("mallory");
  AllowUser("vip");
  EXPECT_EQ(RefusalOf(EnterDraw("mallory", TokenFor("mallory"))), Refusal::kDenied);
  EXPECT_EQ(RefusalOf(EnterDraw("alice", "")), Refusal::kPurchaseTokenRequired);
  EXPECT_EQ(RefusalOf(EnterDraw("alice", TokenFor("alice"))), Refusal::kRateLimited) << "that was a try";
  EXPECT_EQ(RefusalOf(EnterDraw("bob", TokenFor("alice"))), Refusal::kPurchaseTokenInvalid);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(RefusalOf(EnterDraw("vip", TokenFor("vip"))), Refusal::kNone);
  EXPECT_EQ(RefusalOf(EnterDraw("vip", "")), Refusal::kPurchaseTokenRequired);
}

TEST_F(FrontDoorTest, WithoutADrawInThePolicyNobodyEntersOne) {
  EXPECT_EQ(RefusalOf(EnterDraw("alice", "")), Refusal::kDrawNotOpen) << "no policy";
  SetPolicy("tv", kOneTryAnHour);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(RefusalOf(EnterDraw("alice", "")), Refusal::kDrawNotOpen);
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kNone) << "no try was used up";
  EXPECT_EQ(RefusedBy(DoorCheck::kDraw), 4u);
}

TEST_F(FrontDoorTest, AnEntryIntoADrawMayWaitForItsTurn) {
  SetPolicy("tv", R"({"limits":[{"key":"KEY_USER","tries":1,"per":"1s","max_wait":"2s"}],"draw":{}})");
  EXPECT_EQ(EnterDraw("alice", "").wait, absl::ZeroDuration());
  const GateVerdict second = EnterDraw("alice", "");
  EXPECT_EQ(RefusalOf(second), Refusal::kNone);
  EXPECT_EQ(second.wait, absl::Seconds(1));
}

TEST_F(FrontDoorTest, ADrawIsDecidedWithoutAKeyAndATokenIsGivenForIt) {
  SetPolicy("tv", R"({"purchase_token":{},"draw":{}})");
  const DoorEntry entered = Enter("alice");
  EXPECT_TRUE(entered.admitted);
  EXPECT_EQ(RefusalOf(EnterDraw("alice", entered.purchase_token)), Refusal::kNone);
  keys_ = std::make_shared<const FrontKeys>();
  Publish();
  EXPECT_EQ(RefusalOf(Try("alice")), Refusal::kDrawDecides) << "every node says so";
  EXPECT_EQ(RefusalOf(EnterDraw("alice", entered.purchase_token)), Refusal::kExhaustedHere);
}

}  // namespace
}  // namespace tranche::server
