// EnterSale where a policy has risk rules, captchas and delays.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/admission/front_door.h"
#include "server/admission/lottery.h"
#include "server/admission/room_rank.h"
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
  // With a token that nobody has made.
  void ClaimWrongly(const std::string& address = kRiskyHome) {
    storage::ReservationClaim claim;
    claim.sku_id = "tv";
    claim.user_id = "mallory";
    const quota::Visitor visitor = {.address = address, .purchase_token = "nonsense"};
    const std::vector<quota::GateLine> lines = {{&claim, &visitor}};
    const quota::GateVerdict verdict = door_.door().Check(lines, clock_.Now(), clock_.Now() + absl::Seconds(1));
    ASSERT_TRUE(verdict.refused.has_value());
    EXPECT_EQ(verdict.refused->refusal, Refusal::kPurchaseTokenInvalid);
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

TEST_F(RiskEntryTest, WithoutAnAnswerOfTheProviderAChallengeTakesTheCaptchasPlace) {
  tier().challenge_bits = 0;
  AskForCaptcha();
  const DoorEntry unknown = EnterWith(CaptchaVerdict::kUnknown);
  EXPECT_FALSE(unknown.captcha);
  EXPECT_EQ(unknown.captcha_problem, "unknown");
  EXPECT_NE(unknown.challenge, "") << "nobody gets in for nothing";
  const DoorEntry unavailable = EnterWith(CaptchaVerdict::kNone, /*available=*/false);
  EXPECT_FALSE(unavailable.captcha);
  EXPECT_EQ(unavailable.captcha_problem, "");
  EXPECT_NE(unavailable.challenge, "");
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

TEST_F(RiskEntryTest, ADelayReplacesTheChallengeThatStandsInForACaptcha) {
  OfferDelay();
  AskForCaptcha();
  const DoorEntry unknown = EnterWithoutScripts("alice", "", CaptchaVerdict::kUnknown);
  EXPECT_FALSE(unknown.captcha);
  EXPECT_EQ(unknown.captcha_problem, "unknown");
  EXPECT_EQ(unknown.challenge, "");
  ASSERT_NE(unknown.delay_ticket, "");
  const DoorEntry unavailable = EnterWithoutScripts("bob", "", CaptchaVerdict::kNone, /*available=*/false);
  EXPECT_EQ(unavailable.captcha_problem, "");
  EXPECT_NE(unavailable.delay_ticket, "");
  clock_.AdvanceBy(absl::Minutes(1));
  EXPECT_TRUE(EnterWithoutScripts("alice", unknown.delay_ticket).captcha) << "the provider is back";
  const DoorEntry waited = EnterWithoutScripts("alice", unknown.delay_ticket, CaptchaVerdict::kNone, false);
  EXPECT_NE(waited.purchase_token, "");
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

TEST_F(RiskEntryTest, WrongCaptchasSolutionsAndLimitsCountAtTheNetwork) {
  CountRefusals(3);
  policy_.risk->tiers[0].captcha = true;
  LimitUsers(2);
  Publish();
  EXPECT_EQ(EnterWith(CaptchaVerdict::kRefused).captcha_problem, "refused");
  DoorVisit wrong = VisitOf("alice");
  wrong.challenge_solution = "nonsense";
  EXPECT_EQ(Enter(wrong).challenge_problem, "unreadable") << "no provider: the challenge takes its place";
  EXPECT_EQ(RefusalOf(Enter(VisitOf("alice"))), Refusal::kRateLimited);
  EXPECT_EQ(RefusalOf(Enter(VisitOf("bob"))), Refusal::kDenied) << "three in all";
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
