// EnterSale where a policy has risk rules, captchas and delays.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/admission/challenge.h"
#include "server/admission/front_door.h"
#include "server/admission/lottery.h"
#include "server/admission/purchase_token.h"
#include "server/admission/room_rank.h"
#include "tests/unit/server/admission/solved_challenge.h"
#include "tests/unit/server/door_fixture.h"

namespace tranche::server {
namespace {

using storage::Refusal;

constexpr char kRiskyHome[] = "203.0.113.7";
constexpr char kAnotherHome[] = "198.51.100.7";

// A policy with a challenge of 10 bits and four tiers; tests say what each asks for.
class RiskEntryTest : public ::testing::Test {
 protected:
  RiskEntryTest() {
    policy_.sku_id = "tv";
    policy_.version = 1;
    policy_.token_lifetime = absl::Minutes(2);
    policy_.challenge = DoorChallenge{.bits = 10, .lifetime = absl::Minutes(5)};
    policy_.risk = DoorRisk{};
    for (int i = 0; i < 4; ++i) policy_.risk->tiers.push_back({.number = i + 1, .from_score = 25 * i});
    hints_.set_risk_score(60);
  }

  // Of who has hints_.
  DoorTier& tier() { return policy_.risk->tiers[2]; }
  void Publish() { door_.SetCompiled(policy_); }
  void LimitUsers(int tries) {
    const absl::Duration interval = absl::Minutes(1);
    const RateRule rule = {.interval = interval, .tolerance = interval * (tries - 1)};
    policy_.limits.assign(1, DoorLimit{RateKeyKind::kUser, rule});
  }
  void AskForCaptcha() {
    tier().captcha = true;
    Publish();
  }
  void OfferDelay() {
    policy_.challenge->delay = absl::Minutes(1);
    Publish();
  }
  void CountRefusals(int most) {
    policy_.risk->address_refusals = most;
    policy_.risk->points.push_back({.kind = v1::RiskPoints::kAddressRefusals, .points = 100});
    policy_.risk->tiers[3].refuse = true;
    hints_.set_risk_score(0);
    Publish();
  }

  // Of a user whose name outlives it.
  DoorVisit VisitOf(absl::string_view user) const {
    return {.sku_id = "tv", .user_id = user, .address = kRiskyHome, .hints = &hints_};
  }
  DoorEntry Enter(const DoorVisit& visit) {
    return door_.door().Enter(visit, clock_.Now(), clock_.Now() + absl::Seconds(1));
  }
  DoorEntry EnterWith(CaptchaVerdict verdict, bool available = true) {
    DoorVisit visit = VisitOf("alice");
    visit.captcha = verdict;
    visit.captcha_available = available;
    return Enter(visit);
  }
  DoorEntry EnterWithoutScripts(const std::string& user, const std::string& ticket = "",
                                CaptchaVerdict verdict = CaptchaVerdict::kNone, bool available = true) {
    DoorVisit visit = VisitOf(user);
    visit.without_scripts = true;
    visit.delay_ticket = ticket;
    visit.captcha = verdict;
    visit.captcha_available = available;
    return Enter(visit);
  }
  std::string TokenOf(const std::string& user) {
    return MakePurchaseToken(door_.keys(), "tv", user, absl::Minutes(2), clock_.Now()).text;
  }
  // With a token that is no good for mallory.
  void ClaimWith(const std::string& token) {
    storage::ReservationClaim claim;
    claim.sku_id = "tv";
    claim.user_id = "mallory";
    const quota::Visitor visitor = {.address = kRiskyHome, .purchase_token = token};
    const std::vector<quota::GateLine> lines = {{&claim, &visitor}};
    const quota::GateVerdict verdict = door_.door().Check(lines, clock_.Now(), clock_.Now() + absl::Seconds(1));
    ASSERT_TRUE(verdict.refused.has_value());
    EXPECT_EQ(verdict.refused->refusal, Refusal::kPurchaseTokenInvalid);
  }
  void ClaimWrongly() { ClaimWith(TokenOf("eve")); }
  DoorEntry EnterWithSolution(absl::string_view user, const std::string& solution, bool captcha_available = true,
                              CaptchaVerdict verdict = CaptchaVerdict::kNone) {
    DoorVisit visit = VisitOf(user);
    visit.challenge_solution = solution;
    visit.captcha = verdict;
    visit.captcha_available = captcha_available;
    return Enter(visit);
  }
  // The challenge is theirs, and the work was not done.
  static std::string Unworked(const std::string& challenge) {
    nlohmann::json solution;
    solution["challenge"] = nlohmann::json::parse(challenge);
    solution["solution"] = {{"counter", 0}, {"derivedKey", std::string(64, '0')}};
    return EncodeSolution(solution);
  }
  DoorNeeds Needs(const DoorVisit& visit) { return door_.door().NeedsOf(visit, clock_.Now()); }
  static Refusal RefusalOf(const DoorEntry& entry) {
    return entry.refused.has_value() ? entry.refused->refusal : Refusal::kNone;
  }
  const DoorCounts& counts() { return door_.door().counts(); }
  DoorOpinion Opinion(DoorCheck check, bool without_scripts = false) {
    const DoorQuestion question = {.sku_id = "tv",
                                   .user_id = "alice",
                                   .address = kRiskyHome,
                                   .hints = &hints_,
                                   .without_scripts = without_scripts};
    for (DoorOpinion& opinion : door_.door().Explain(question, clock_.Now()).opinions) {
      if (opinion.check == check) return opinion;
    }
    ADD_FAILURE() << "it has no opinion";
    return {};
  }

  storage::FakeClock clock_{absl::FromUnixSeconds(1'800'000'000)};
  DoorOfTest door_{&clock_};
  DoorPolicy policy_;
  v1::BuyerHints hints_;
};

TEST_F(RiskEntryTest, WithoutRiskRulesAllAreAskedForTheSame) {
  policy_.risk.reset();
  Publish();
  const DoorEntry entry = Enter(VisitOf("alice"));
  EXPECT_EQ(entry.tier, 0);
  EXPECT_NE(entry.challenge, "");
  EXPECT_EQ(counts().tiers[0].load(), 0u);
  EXPECT_EQ(Opinion(DoorCheck::kRisk).verdict, DoorOpinion::Verdict::kSkip);
}

TEST_F(RiskEntryTest, ARefusedTierIsDeniedAndCounted) {
  tier().refuse = true;
  Publish();
  EXPECT_EQ(RefusalOf(Enter(VisitOf("alice"))), Refusal::kDenied);
  EXPECT_EQ(counts().refused[static_cast<size_t>(DoorCheck::kRisk)].load(), 1u);
  EXPECT_EQ(counts().tiers[2].load(), 1u);
  EXPECT_EQ(Opinion(DoorCheck::kRisk).verdict, DoorOpinion::Verdict::kRefuse);
  hints_.set_risk_score(40);
  EXPECT_EQ(RefusalOf(Enter(VisitOf("alice"))), Refusal::kNone);
}

TEST_F(RiskEntryTest, WhoIsOnTheListSkipsAllOfIt) {
  tier().refuse = true;
  Publish();
  door_.SetAccess({AllowUser("vip")});
  const DoorEntry entry = Enter(VisitOf("vip"));
  EXPECT_EQ(RefusalOf(entry), Refusal::kNone);
  EXPECT_NE(entry.purchase_token, "");
  EXPECT_EQ(entry.tier, 0);
}

TEST_F(RiskEntryTest, ATierHasAChallengeOfItsOwnOrNone) {
  tier().challenge_bits = 14;
  policy_.risk->tiers[0].challenge_bits = 0;
  Publish();
  EXPECT_NE(Enter(VisitOf("alice")).challenge, "");
  EXPECT_NE(Opinion(DoorCheck::kRisk).detail.find("tier 3 of 4; a challenge of 14 bits"), std::string::npos)
      << Opinion(DoorCheck::kRisk).detail;
  hints_.set_risk_score(0);
  const DoorEntry entry = Enter(VisitOf("alice"));
  EXPECT_EQ(entry.challenge, "");
  EXPECT_NE(entry.purchase_token, "");
}

TEST_F(RiskEntryTest, AnEnterSaleCountsAsTheTriesOfItsTier) {
  LimitUsers(5);
  tier().tries = 3;
  Publish();
  EXPECT_EQ(RefusalOf(Enter(VisitOf("alice"))), Refusal::kNone);
  const DoorEntry refused = Enter(VisitOf("alice"));
  ASSERT_EQ(RefusalOf(refused), Refusal::kRateLimited) << "two of three are left";
  clock_.AdvanceBy(absl::Minutes(1));
  EXPECT_EQ(RefusalOf(Enter(VisitOf("alice"))), Refusal::kNone) << "the refused one counted nothing";
  hints_.set_risk_score(0);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(RefusalOf(Enter(VisitOf("bob"))), Refusal::kNone);
  EXPECT_EQ(RefusalOf(Enter(VisitOf("bob"))), Refusal::kRateLimited);
}

TEST_F(RiskEntryTest, ATierThatWeighsMoreThanMayComeAtOnceGetsInAllTheSame) {
  LimitUsers(2);
  tier().tries = 100;
  Publish();
  EXPECT_EQ(RefusalOf(Enter(VisitOf("alice"))), Refusal::kNone);
  EXPECT_EQ(RefusalOf(Enter(VisitOf("alice"))), Refusal::kRateLimited);
}

TEST_F(RiskEntryTest, APartOfTheLotteryIsAdmitted) {
  policy_.lottery = DoorLottery{.key = std::string(32, 'r'), .commitment = "", .round = 1, .threshold = UINT64_MAX};
  tier().lottery_percent = 50;
  Publish();
  int admitted = 0;
  for (int i = 0; i < 200; ++i) {
    const std::string user = absl::StrCat("user-", i);
    const DoorEntry entry = Enter(VisitOf(user));
    EXPECT_EQ(entry.admitted, entry.rank < entry.lottery->threshold) << "the answer is consistent";
    admitted += entry.admitted ? 1 : 0;
  }
  EXPECT_GT(admitted, 60);
  EXPECT_LT(admitted, 140);
  hints_.set_risk_score(0);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(Enter(VisitOf(absl::StrCat("user-", i))).admitted);
}

TEST(PartOfThreshold, IsRoundedDownAndEverybodyStaysEverybody) {
  EXPECT_EQ(PartOfThreshold(UINT64_MAX, 100), UINT64_MAX);
  EXPECT_EQ(PartOfThreshold(UINT64_MAX, 50), UINT64_MAX / 2);
  EXPECT_EQ(PartOfThreshold(199, 50), 99u);
  EXPECT_EQ(PartOfThreshold(UINT64_MAX, 0), 0u);
}

TEST_F(RiskEntryTest, ACaptchaIsAskedForInsteadOfAChallenge) {
  AskForCaptcha();
  const DoorEntry asked = EnterWith(CaptchaVerdict::kNone);
  EXPECT_TRUE(asked.captcha);
  EXPECT_EQ(asked.challenge, "");
  EXPECT_EQ(asked.captcha_problem, "");
  EXPECT_EQ(asked.purchase_token, "");
  const DoorEntry refused = EnterWith(CaptchaVerdict::kRefused);
  EXPECT_TRUE(refused.captcha);
  EXPECT_EQ(refused.captcha_problem, "refused");
  EXPECT_EQ(refused.purchase_token, "");
  EXPECT_NE(EnterWith(CaptchaVerdict::kSolved).purchase_token, "");
  EXPECT_EQ(counts().captchas_asked.load(), 2u);
  EXPECT_EQ(counts().captchas_refused.load(), 1u);
  EXPECT_EQ(counts().captchas_solved.load(), 1u);
}

TEST_F(RiskEntryTest, WhileTheProviderCannotBeAskedAChallengeStandsIn) {
  tier().challenge_bits = 0;
  AskForCaptcha();
  const DoorEntry unavailable = EnterWith(CaptchaVerdict::kNone, /*available=*/false);
  EXPECT_FALSE(unavailable.captcha);
  EXPECT_EQ(unavailable.captcha_problem, "");
  EXPECT_NE(unavailable.challenge, "") << "nobody gets in for nothing";
  EXPECT_EQ(EnterWith(CaptchaVerdict::kUnknown, /*available=*/false).captcha_problem, "unknown");
  EXPECT_EQ(counts().captchas_replaced.load(), 2u);
  EXPECT_EQ(counts().captchas_asked.load(), 0u);
}

TEST_F(RiskEntryTest, OneLateAnswerLeadsToAnotherCaptchaAndNotToAChallenge) {
  AskForCaptcha();
  const DoorEntry unknown = EnterWith(CaptchaVerdict::kUnknown);
  EXPECT_TRUE(unknown.captcha);
  EXPECT_EQ(unknown.captcha_problem, "unknown");
  EXPECT_EQ(unknown.challenge, "");
  EXPECT_EQ(unknown.purchase_token, "");
  EXPECT_EQ(counts().captchas_replaced.load(), 0u);
}

TEST_F(RiskEntryTest, AnOldCaptchaIsAskedForAgainAndSaysNothingOfTheNetwork) {
  CountRefusals(1);
  policy_.risk->tiers[0].captcha = true;
  Publish();
  const DoorEntry expired = EnterWith(CaptchaVerdict::kExpired);
  EXPECT_TRUE(expired.captcha);
  EXPECT_EQ(expired.captcha_problem, "expired");
  EXPECT_EQ(expired.purchase_token, "");
  EXPECT_EQ(counts().captchas_expired.load(), 1u);
  EXPECT_EQ(counts().captchas_refused.load(), 0u);
  EXPECT_EQ(RefusalOf(EnterWith(CaptchaVerdict::kRefused)), Refusal::kNone) << "nothing counts yet";
  EXPECT_EQ(RefusalOf(EnterWith(CaptchaVerdict::kNone)), Refusal::kDenied) << "a refused one does";
}

TEST_F(RiskEntryTest, OnlyTheChallengeThatStoodInEarnsWhenTheProviderIsBack) {
  tier().challenge_bits = kLeastChallengeBits;
  Publish();
  const std::string plain = EncodeSolution(SolveAsBrowser(Enter(VisitOf("alice")).challenge));
  AskForCaptcha();
  const DoorEntry cheaper = EnterWithSolution("alice", plain);
  EXPECT_TRUE(cheaper.captcha);
  EXPECT_EQ(cheaper.purchase_token, "");
  const std::string stood_in =
      EncodeSolution(SolveAsBrowser(EnterWith(CaptchaVerdict::kNone, /*available=*/false).challenge));
  EXPECT_NE(EnterWithSolution("alice", stood_in, /*captcha_available=*/false).purchase_token, "");
  EXPECT_NE(EnterWithSolution("alice", stood_in).purchase_token, "") << "they must not go in circles";
  EXPECT_TRUE(EnterWithSolution("bob", stood_in).captcha) << "it is alice's";
  tier().challenge_bits = kLeastChallengeBits + 1;
  Publish();
  EXPECT_TRUE(EnterWithSolution("alice", stood_in).captcha) << "more is asked by now";
}

TEST_F(RiskEntryTest, WhoRunsNoScriptsWaitsForADelay) {
  OfferDelay();
  const DoorEntry given = EnterWithoutScripts("alice");
  ASSERT_NE(given.delay_ticket, "");
  EXPECT_EQ(given.challenge, "");
  EXPECT_EQ(given.purchase_token, "");
  EXPECT_EQ(given.retry_after, absl::Minutes(1));
  EXPECT_EQ(given.delay.expires_at - given.delay.ready_at, absl::Minutes(5));
  clock_.AdvanceBy(absl::Seconds(59));
  const DoorEntry early = EnterWithoutScripts("alice", given.delay_ticket);
  EXPECT_EQ(early.delay_ticket, given.delay_ticket);
  EXPECT_EQ(early.retry_after, absl::Seconds(1));
  EXPECT_EQ(early.purchase_token, "");
  clock_.AdvanceBy(early.retry_after);
  EXPECT_EQ(EnterWithoutScripts("bob", given.delay_ticket).purchase_token, "") << "it is not theirs";
  EXPECT_NE(EnterWithoutScripts("alice", given.delay_ticket).purchase_token, "");
  EXPECT_EQ(counts().delays_given.load(), 2u);
  EXPECT_EQ(counts().delays_waited.load(), 1u);
  clock_.AdvanceBy(absl::Minutes(5));
  const DoorEntry expired = EnterWithoutScripts("alice", given.delay_ticket);
  EXPECT_EQ(expired.purchase_token, "");
  EXPECT_NE(expired.delay_ticket, given.delay_ticket);
}

TEST_F(RiskEntryTest, OnlyWhoRunsNoScriptsGetsADelay) {
  OfferDelay();
  const DoorEntry entry = Enter(VisitOf("alice"));
  EXPECT_EQ(entry.delay_ticket, "");
  EXPECT_NE(entry.challenge, "");
}

TEST_F(RiskEntryTest, ADelayReplacesNoCaptcha) {
  OfferDelay();
  const DoorEntry given = EnterWithoutScripts("alice");
  ASSERT_NE(given.delay_ticket, "");
  clock_.AdvanceBy(absl::Minutes(1));
  AskForCaptcha();
  const DoorEntry asked = EnterWithoutScripts("alice", given.delay_ticket);
  EXPECT_TRUE(asked.captcha) << "a person is wanted, whatever they have waited";
  EXPECT_EQ(asked.delay_ticket, "");
  EXPECT_EQ(asked.challenge, "");
  EXPECT_EQ(asked.purchase_token, "");
  EXPECT_NE(Opinion(DoorCheck::kRisk, /*without_scripts=*/true).detail.find("captcha"), std::string::npos)
      << Opinion(DoorCheck::kRisk, /*without_scripts=*/true).detail;
  const DoorEntry refused = EnterWithoutScripts("alice", given.delay_ticket, CaptchaVerdict::kRefused);
  EXPECT_TRUE(refused.captcha);
  EXPECT_EQ(refused.captcha_problem, "refused");
  EXPECT_EQ(refused.purchase_token, "");
  EXPECT_NE(EnterWithoutScripts("alice", "", CaptchaVerdict::kSolved).purchase_token, "");
}

TEST_F(RiskEntryTest, ADelayDoesNotReplaceTheChallengeThatStandsInForACaptcha) {
  OfferDelay();
  const DoorEntry given = EnterWithoutScripts("alice");
  ASSERT_NE(given.delay_ticket, "");
  AskForCaptcha();
  clock_.AdvanceBy(absl::Minutes(1));
  for (const CaptchaVerdict verdict : {CaptchaVerdict::kNone, CaptchaVerdict::kUnknown}) {
    const DoorEntry entry = EnterWithoutScripts("alice", given.delay_ticket, verdict, /*available=*/false);
    EXPECT_EQ(entry.purchase_token, "") << "they have waited, and are no person for that";
    EXPECT_EQ(entry.delay_ticket, "");
    EXPECT_NE(entry.challenge, "");
  }
  const std::string detail = Opinion(DoorCheck::kRisk, /*without_scripts=*/true).detail;
  EXPECT_NE(detail.find("a captcha, or a challenge of 10 bits while"), std::string::npos) << detail;
  EXPECT_EQ(detail.find("delay"), std::string::npos) << detail;
}

TEST_F(RiskEntryTest, RefusedTriesOfANetworkBecomeManyAndFade) {
  CountRefusals(3);
  for (int i = 0; i < 2; ++i) ClaimWrongly();
  EXPECT_EQ(RefusalOf(Enter(VisitOf("alice"))), Refusal::kNone);
  ClaimWrongly();
  EXPECT_EQ(RefusalOf(Enter(VisitOf("alice"))), Refusal::kDenied);
  DoorVisit elsewhere = VisitOf("alice");
  elsewhere.address = kAnotherHome;
  EXPECT_EQ(RefusalOf(Enter(elsewhere)), Refusal::kNone);
  clock_.AdvanceBy(absl::Minutes(20));
  EXPECT_EQ(RefusalOf(Enter(VisitOf("alice"))), Refusal::kNone) << "one of three is forgotten";
  for (int i = 0; i < 100; ++i) ClaimWrongly();
  clock_.AdvanceBy(absl::Hours(2));
  EXPECT_EQ(RefusalOf(Enter(VisitOf("alice"))), Refusal::kNone) << "all of them are";
}

TEST_F(RiskEntryTest, WrongCaptchasSolutionsAndLimitsByUserCountAtTheNetwork) {
  CountRefusals(4);
  policy_.risk->tiers[0].captcha = true;
  LimitUsers(4);
  Publish();
  EXPECT_EQ(EnterWith(CaptchaVerdict::kRefused).captcha_problem, "refused");
  const DoorEntry instead = EnterWith(CaptchaVerdict::kNone, /*available=*/false);
  EXPECT_EQ(EnterWithSolution("alice", Unworked(instead.challenge), false).challenge_problem, "wrong");
  EXPECT_EQ(EnterWithSolution("carol", Unworked(instead.challenge), false).challenge_problem, "not_for_this");
  EXPECT_EQ(RefusalOf(Enter(VisitOf("alice"))), Refusal::kNone) << "three in all";
  EXPECT_EQ(RefusalOf(Enter(VisitOf("alice"))), Refusal::kRateLimited);
  EXPECT_EQ(RefusalOf(Enter(VisitOf("bob"))), Refusal::kDenied) << "four";
}

TEST_F(RiskEntryTest, WhatIsOldOrUnreadableSaysNothingOfTheNetwork) {
  const std::string old_token = TokenOf("mallory");
  CountRefusals(1);
  policy_.risk->tiers[0].challenge_bits = 12;
  Publish();
  const std::string old_challenge = Enter(VisitOf("alice")).challenge;
  ClaimWith("nonsense");
  EXPECT_EQ(EnterWithSolution("alice", "nonsense").challenge_problem, "unreadable");
  clock_.AdvanceBy(absl::Minutes(10));
  ClaimWith(old_token);
  EXPECT_EQ(EnterWithSolution("alice", Unworked(old_challenge)).challenge_problem, "expired");
  EXPECT_EQ(RefusalOf(Enter(VisitOf("alice"))), Refusal::kNone) << "after keys are replaced, all buyers have such";
  ClaimWrongly();
  EXPECT_EQ(RefusalOf(Enter(VisitOf("alice"))), Refusal::kDenied) << "one that counts is enough";
}

TEST_F(RiskEntryTest, TheLimitByAddressDoesNotCountAtTheNetwork) {
  CountRefusals(1);
  policy_.limits.assign(1, DoorLimit{RateKeyKind::kAddress, {.interval = absl::Minutes(1)}});
  Publish();
  EXPECT_EQ(RefusalOf(Enter(VisitOf("alice"))), Refusal::kNone);
  EXPECT_EQ(RefusalOf(Enter(VisitOf("bob"))), Refusal::kRateLimited);
  EXPECT_EQ(RefusalOf(Enter(VisitOf("carol"))), Refusal::kRateLimited) << "a crowded network is no sign of anything";
}

TEST_F(RiskEntryTest, WhoCouldHaveBeenScoredIsNotJudgedAsUnscored) {
  policy_.risk->ask_scorer = true;
  LimitUsers(1);
  Publish();
  hints_.clear_risk_score();
  DoorVisit visit = VisitOf("alice");
  visit.can_score = true;
  const DoorEntry refused = Enter(visit);
  ASSERT_EQ(RefusalOf(refused), Refusal::kRateLimited);
  EXPECT_EQ(refused.refused->about, "user");
  EXPECT_EQ(refused.refused->retry_after, absl::Milliseconds(250));
  EXPECT_EQ(counts().tiers[0].load(), 0u) << "nobody has judged them";
  visit.score_asked = true;
  EXPECT_EQ(RefusalOf(Enter(visit)), Refusal::kNone) << "the refused one counted nothing, and the scorer is late";
  DoorVisit elsewhere = VisitOf("bob");
  EXPECT_EQ(RefusalOf(Enter(elsewhere)), Refusal::kNone) << "this node has no scorer";
}

TEST_F(RiskEntryTest, TheScorerIsNotAskedInVain) {
  policy_.risk->ask_scorer = true;
  policy_.lottery = DoorLottery{.key = std::string(32, 'r'), .commitment = "", .round = 1, .threshold = UINT64_MAX};
  LimitUsers(1);
  Publish();
  EXPECT_FALSE(Needs(VisitOf("alice")).score) << "the shop says a score";
  hints_.clear_risk_score();
  EXPECT_TRUE(Needs(VisitOf("alice")).score);
  DoorVisit scored = VisitOf("alice");
  scored.scored = 10;
  EXPECT_FALSE(Needs(scored).score);
  door_.SetAccess({AllowUser("vip"), DenyUser("mallory")});
  EXPECT_FALSE(Needs(VisitOf("vip")).score);
  EXPECT_FALSE(Needs(VisitOf("mallory")).score);
  Enter(VisitOf("alice"));
  EXPECT_FALSE(Needs(VisitOf("alice")).score) << "a limit would refuse them";
  EXPECT_TRUE(Needs(VisitOf("bob")).score) << "looking counts nothing";
  policy_.lottery->threshold = 0;
  Publish();
  EXPECT_FALSE(Needs(VisitOf("bob")).score) << "nobody is admitted";
  policy_.lottery.reset();
  policy_.unreadable = "too new";
  Publish();
  EXPECT_FALSE(Needs(VisitOf("bob")).score);
  policy_.unreadable = "";
  Publish();
  EXPECT_TRUE(Needs(VisitOf("bob")).score);
  door_.LoseKeys();
  EXPECT_FALSE(Needs(VisitOf("bob")).score);
}

TEST_F(RiskEntryTest, TheCaptchasProviderIsAskedForTiersThatNeedIt) {
  OfferDelay();
  AskForCaptcha();
  EXPECT_TRUE(Needs(VisitOf("alice")).captcha);
  DoorVisit without_scripts = VisitOf("alice");
  without_scripts.without_scripts = true;
  EXPECT_TRUE(Needs(without_scripts).captcha) << "a delay does not replace it";
  tier().refuse = true;
  Publish();
  EXPECT_FALSE(Needs(VisitOf("alice")).captcha);
  hints_.set_risk_score(0);
  EXPECT_FALSE(Needs(VisitOf("alice")).captcha);
}

TEST_F(RiskEntryTest, WhoWaitsInARoomIsScoredWhenTheirTurnComes) {
  policy_.room = DoorRoom{};
  policy_.room->key = std::string(32, 'r');
  policy_.room->round = 1;
  policy_.room->poll_interval = absl::Seconds(10);
  policy_.risk->ask_scorer = true;
  policy_.risk->unscored = 60;
  tier().refuse = true;
  Publish();
  hints_.clear_risk_score();
  EXPECT_FALSE(Needs(VisitOf("alice")).score);
  const DoorEntry waits = Enter(VisitOf("alice"));
  EXPECT_EQ(RefusalOf(waits), Refusal::kNone) << "nobody has been asked about them yet";
  EXPECT_FALSE(waits.admitted);
  door_.ShowBoard("tv", 1, LateRank(clock_.Now()) + 1, clock_.Now());
  DoorVisit next = VisitOf("alice");
  next.waiting_ticket = waits.place->ticket;
  EXPECT_TRUE(Needs(next).score);
  EXPECT_EQ(RefusalOf(Enter(next)), Refusal::kDenied) << "the scorer has not answered";
  next.scored = 0;
  EXPECT_TRUE(Enter(next).admitted);
}

}  // namespace
}  // namespace tranche::server
