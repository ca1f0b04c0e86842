#include "server/admission/risk_rule.h"

#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "server/admission/front_policy.h"
#include "server/proto_time.h"
#include "tests/unit/server/error_matchers.h"

namespace tranche::server {
namespace {

const absl::Time kAskedAt = absl::FromUnixSeconds(1'700'000'000);

v1::RateLimit RiskLimit(v1::RateLimit::Key key, int32_t tries) {
  v1::RateLimit limit;
  limit.set_key(key);
  limit.set_tries(tries);
  limit.mutable_per()->set_seconds(1);
  return limit;
}

v1::RiskPoints& AddPoints(v1::FrontPolicy& policy, int32_t points) {
  v1::RiskPoints& added = *policy.mutable_risk()->add_points();
  added.set_points(points);
  return added;
}

// With every part of a risk rule. 10 tries of a user and 5 of an address may come at once.
v1::FrontPolicy RiskPolicy() {
  v1::FrontPolicy policy;
  *policy.add_limits() = RiskLimit(v1::RateLimit::KEY_USER, 10);
  *policy.add_limits() = RiskLimit(v1::RateLimit::KEY_ADDRESS, 50);
  *policy.add_limits() = RiskLimit(v1::RateLimit::KEY_SKU, 10);
  policy.mutable_lottery()->set_admitted_per_million(100'000);
  policy.mutable_purchase_token();
  policy.mutable_challenge()->set_bits(10);
  AddPoints(policy, 30).mutable_account_younger_than()->set_seconds(86'400);
  AddPoints(policy, 10).set_orders_fewer_than(2);
  AddPoints(policy, -40).set_label("vip");
  AddPoints(policy, 25).set_no_hints(true);
  AddPoints(policy, 50).set_address_refusals(20);
  AddPoints(policy, 5).set_without_scripts(true);
  v1::RiskRule& risk = *policy.mutable_risk();
  risk.set_ask_scorer(true);
  risk.set_unscored(0);
  risk.add_tiers()->set_challenge_bits(0);
  v1::RiskTier& second = *risk.add_tiers();
  second.set_from_score(30);
  second.set_lottery_percent(0);
  second.set_challenge_bits(20);
  second.set_tries(5);
  v1::RiskTier& third = *risk.add_tiers();
  third.set_from_score(60);
  third.set_captcha(true);
  v1::RiskTier& last = *risk.add_tiers();
  last.set_from_score(100);
  last.set_refuse(true);
  return policy;
}

struct BadRisk {
  const char* field;  // behind "policy.risk"
  std::function<void(v1::FrontPolicy&)> spoil;
};

void ExpectRefused(const std::vector<BadRisk>& cases) {
  ASSERT_TRUE(CheckFrontPolicy(RiskPolicy()).ok()) << CheckFrontPolicy(RiskPolicy());
  for (const BadRisk& bad : cases) {
    v1::FrontPolicy policy = RiskPolicy();
    bad.spoil(policy);
    const absl::Status status = CheckFrontPolicy(policy);
    EXPECT_EQ(ReasonOf(status), "FIELD_INVALID") << bad.field << ": " << policy.ShortDebugString();
    EXPECT_EQ(MetadataOf(status, "field"), std::string("policy.risk") + bad.field) << policy.ShortDebugString();
  }
}

v1::RiskPoints& PointsAt(v1::FrontPolicy& policy, int at) { return *policy.mutable_risk()->mutable_points(at); }
v1::RiskTier& TierAt(v1::FrontPolicy& policy, int at) { return *policy.mutable_risk()->mutable_tiers(at); }

TEST(RiskRuleTest, EveryFaultOfItsPointsIsToldWithItsField) {
  ExpectRefused({
      {".points",
       [](v1::FrontPolicy& p) {
         while (p.risk().points_size() < 33) AddPoints(p, 1).set_label("one-more");
       }},
      {".points[1].points", [](v1::FrontPolicy& p) { PointsAt(p, 1).clear_points(); }},
      {".points[1].points", [](v1::FrontPolicy& p) { PointsAt(p, 1).set_points(101); }},
      {".points[1].points", [](v1::FrontPolicy& p) { PointsAt(p, 1).set_points(-101); }},
      {".points[1].rule", [](v1::FrontPolicy& p) { PointsAt(p, 1).clear_rule(); }},
      {".points[0].account_younger_than",
       [](v1::FrontPolicy& p) { PointsAt(p, 0).mutable_account_younger_than()->set_seconds(0); }},
      {".points[0].account_younger_than",
       [](v1::FrontPolicy& p) { PointsAt(p, 0).mutable_account_younger_than()->set_seconds(864'000'001); }},
      {".points[0].account_younger_than",
       [](v1::FrontPolicy& p) { PointsAt(p, 0).mutable_account_younger_than()->set_nanos(2'000'000'000); }},
      {".points[1].orders_fewer_than", [](v1::FrontPolicy& p) { PointsAt(p, 1).set_orders_fewer_than(0); }},
      {".points[1].orders_fewer_than", [](v1::FrontPolicy& p) { PointsAt(p, 1).set_orders_fewer_than(1'000'001); }},
      {".points[2].label", [](v1::FrontPolicy& p) { PointsAt(p, 2).set_label(""); }},
      {".points[2].label", [](v1::FrontPolicy& p) { PointsAt(p, 2).set_label("VIP"); }},
      {".points[2].label", [](v1::FrontPolicy& p) { PointsAt(p, 2).set_label(std::string(33, 'v')); }},
      {".points[3].no_hints", [](v1::FrontPolicy& p) { PointsAt(p, 3).set_no_hints(false); }},
      {".points[4].address_refusals", [](v1::FrontPolicy& p) { PointsAt(p, 4).set_address_refusals(0); }},
      {".points[4].address_refusals", [](v1::FrontPolicy& p) { PointsAt(p, 4).set_address_refusals(10'001); }},
      {".points[6].address_refusals", [](v1::FrontPolicy& p) { AddPoints(p, 1).set_address_refusals(30); }},
      {".points[5].without_scripts", [](v1::FrontPolicy& p) { PointsAt(p, 5).set_without_scripts(false); }},
  });
}

TEST(RiskRuleTest, EveryFaultOfItsTiersIsToldWithItsField) {
  ExpectRefused({
      {".tiers", [](v1::FrontPolicy& p) { p.mutable_risk()->clear_tiers(); }},
      {".tiers",
       [](v1::FrontPolicy& p) {
         TierAt(p, 3).set_from_score(99);
         p.mutable_risk()->add_tiers()->set_from_score(100);
       }},
      {".tiers[0].from_score", [](v1::FrontPolicy& p) { TierAt(p, 0).set_from_score(1); }},
      {".tiers[2].from_score", [](v1::FrontPolicy& p) { TierAt(p, 2).set_from_score(30); }},
      {".tiers[2].from_score", [](v1::FrontPolicy& p) { TierAt(p, 2).set_from_score(29); }},
      {".tiers[3].from_score", [](v1::FrontPolicy& p) { TierAt(p, 3).set_from_score(101); }},
      {".tiers[0].from_score", [](v1::FrontPolicy& p) { TierAt(p, 0).set_from_score(-1); }},
      {".tiers[1].lottery_percent", [](v1::FrontPolicy& p) { TierAt(p, 1).set_lottery_percent(101); }},
      {".tiers[1].lottery_percent", [](v1::FrontPolicy& p) { TierAt(p, 1).set_lottery_percent(-1); }},
      {".tiers[1].lottery_percent", [](v1::FrontPolicy& p) { p.clear_lottery(); }},
      {".tiers[1].challenge_bits", [](v1::FrontPolicy& p) { TierAt(p, 1).set_challenge_bits(3); }},
      {".tiers[1].challenge_bits", [](v1::FrontPolicy& p) { TierAt(p, 1).set_challenge_bits(21); }},
      {".tiers[1].challenge_bits", [](v1::FrontPolicy& p) { TierAt(p, 1).set_challenge_bits(-4); }},
      {".tiers[0].challenge_bits", [](v1::FrontPolicy& p) { p.clear_challenge(); }},
      {".tiers[0].challenge_bits", [](v1::FrontPolicy& p) { TierAt(p, 0).set_captcha(true); }},
      {".tiers[2].captcha",
       [](v1::FrontPolicy& p) {
         p.clear_challenge();
         TierAt(p, 0).clear_challenge_bits();
         TierAt(p, 1).clear_challenge_bits();
       }},
      {".tiers[1].tries", [](v1::FrontPolicy& p) { TierAt(p, 1).set_tries(-1); }},
      {".tiers[1].tries", [](v1::FrontPolicy& p) { TierAt(p, 1).set_tries(6); }},
      {".tiers[1].tries", [](v1::FrontPolicy& p) { p.mutable_limits(0)->set_burst(4); }},
      {".tiers[1].tries",
       [](v1::FrontPolicy& p) {
         p.mutable_limits()->DeleteSubrange(0, 2);
         TierAt(p, 1).set_tries(101);
       }},
      {".tiers[3].refuse", [](v1::FrontPolicy& p) { TierAt(p, 3).set_lottery_percent(100); }},
      {".tiers[3].refuse", [](v1::FrontPolicy& p) { TierAt(p, 3).set_challenge_bits(0); }},
      {".tiers[3].refuse", [](v1::FrontPolicy& p) { TierAt(p, 3).set_captcha(true); }},
      {".tiers[3].refuse", [](v1::FrontPolicy& p) { TierAt(p, 3).set_tries(1); }},
      {".unscored", [](v1::FrontPolicy& p) { p.mutable_risk()->set_unscored(101); }},
      {".unscored", [](v1::FrontPolicy& p) { p.mutable_risk()->set_unscored(-1); }},
      {"",
       [](v1::FrontPolicy& p) {
         p.mutable_risk()->clear_tiers();
         p.clear_purchase_token();
         p.clear_challenge();
       }},
  });
}

TEST(RiskRuleTest, BoundsAreTaken) {
  v1::FrontPolicy policy = RiskPolicy();
  PointsAt(policy, 0).set_points(100);
  PointsAt(policy, 0).mutable_account_younger_than()->set_seconds(864'000'000);
  PointsAt(policy, 1).set_points(-100);
  PointsAt(policy, 1).set_orders_fewer_than(1'000'000);
  PointsAt(policy, 2).set_label(std::string(30, 'z') + "_-");
  PointsAt(policy, 4).set_address_refusals(10'000);
  while (policy.risk().points_size() < 32) AddPoints(policy, 1).set_label("0");
  TierAt(policy, 1).set_lottery_percent(100);
  TierAt(policy, 1).set_challenge_bits(4);
  policy.mutable_limits(0)->set_burst(100);
  policy.mutable_limits(1)->set_burst(100);
  TierAt(policy, 1).set_tries(100);
  policy.mutable_risk()->set_unscored(100);
  EXPECT_TRUE(CheckFrontPolicy(policy).ok()) << CheckFrontPolicy(policy);
  policy.mutable_limits()->Clear();
  EXPECT_TRUE(CheckFrontPolicy(policy).ok()) << CheckFrontPolicy(policy);
}

TEST(RiskRuleTest, TheLeastThatIsTakenIsOneTier) {
  v1::FrontPolicy policy;
  policy.mutable_purchase_token();
  policy.mutable_risk()->add_tiers();
  EXPECT_TRUE(CheckFrontPolicy(policy).ok()) << CheckFrontPolicy(policy);
  const DoorRisk risk = CompileRisk(policy.risk());
  EXPECT_EQ(risk.unscored, 0);
  EXPECT_EQ(risk.address_refusals, 0);
  EXPECT_FALSE(risk.ask_scorer);
  const DoorTier& tier = TierOf(risk, 100);
  EXPECT_EQ(tier.number, 1);
  EXPECT_EQ(tier.lottery_percent, 100);
  EXPECT_FALSE(tier.challenge_bits.has_value());
  EXPECT_FALSE(tier.captcha);
  EXPECT_EQ(tier.tries, 1);
  EXPECT_FALSE(tier.refuse);
}

TEST(RiskRuleTest, IsCompiledWithAllItsParts) {
  const DoorRisk risk = CompileRisk(RiskPolicy().risk());
  ASSERT_EQ(risk.points.size(), 6u);
  EXPECT_EQ(risk.points[0].kind, v1::RiskPoints::kAccountYoungerThan);
  EXPECT_EQ(risk.points[0].younger_than, absl::Hours(24));
  EXPECT_EQ(risk.points[1].orders_fewer_than, 2);
  EXPECT_EQ(risk.points[2].points, -40);
  EXPECT_EQ(risk.points[2].label, "vip");
  EXPECT_EQ(risk.address_refusals, 20);
  EXPECT_TRUE(risk.ask_scorer);
  EXPECT_EQ(risk.unscored, 0) << "said, although it is 0";
  ASSERT_EQ(risk.tiers.size(), 4u);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(risk.tiers[i].number, i + 1);
  EXPECT_EQ(risk.tiers[0].challenge_bits, 0) << "not: as the challenge says";
  EXPECT_EQ(risk.tiers[1].from_score, 30);
  EXPECT_EQ(risk.tiers[1].lottery_percent, 0) << "not: all";
  EXPECT_EQ(risk.tiers[1].challenge_bits, 20);
  EXPECT_EQ(risk.tiers[1].tries, 5);
  EXPECT_TRUE(risk.tiers[2].captcha);
  EXPECT_FALSE(risk.tiers[2].challenge_bits.has_value());
  EXPECT_FALSE(risk.tiers[2].refuse);
  EXPECT_TRUE(risk.tiers[3].refuse);
}

TEST(RiskRuleTest, WhoIsUnscoredIsInTheMiddleWhereAScorerIsAsked) {
  v1::RiskRule rule = RiskPolicy().risk();
  rule.clear_unscored();
  EXPECT_EQ(CompileRisk(rule).unscored, 50);
  rule.set_ask_scorer(false);
  EXPECT_EQ(CompileRisk(rule).unscored, 0);
  rule.set_unscored(70);
  EXPECT_EQ(CompileRisk(rule).unscored, 70);
}

// The score of the rule alone whose points are at `at`.
int ScoreBy(int at, const RiskFacts& facts) {
  DoorRisk risk = CompileRisk(RiskPolicy().risk());
  risk.points = {risk.points[at]};
  risk.points[0].points = 7;
  return RiskScore(risk, facts, kAskedAt);
}

TEST(RiskRuleTest, TheShopsScoreGoesBeforeTheScorersAndThatBeforeNone) {
  DoorRisk risk = CompileRisk(RiskPolicy().risk());
  risk.points.clear();
  risk.unscored = 40;
  v1::BuyerHints hints;
  EXPECT_EQ(RiskScore(risk, {}, kAskedAt), 40);
  EXPECT_EQ(RiskScore(risk, {.hints = &hints}, kAskedAt), 40);
  EXPECT_EQ(RiskScore(risk, {.hints = &hints, .scored = 0}, kAskedAt), 0);
  hints.set_risk_score(80);
  EXPECT_EQ(RiskScore(risk, {.hints = &hints, .scored = 10}, kAskedAt), 80);
  hints.set_risk_score(0);
  EXPECT_EQ(RiskScore(risk, {.hints = &hints, .scored = 10}, kAskedAt), 0) << "said, although it is 0";
}

TEST(RiskRuleTest, AnAccountIsYoungerUntilItHasTheAge) {
  v1::BuyerHints hints;
  const auto score_at_age = [&hints](absl::Duration age) {
    *hints.mutable_account_create_time() = ToTimestamp(kAskedAt - age);
    return ScoreBy(0, {.hints = &hints});
  };
  EXPECT_EQ(score_at_age(absl::Hours(24) - absl::Nanoseconds(1)), 7);
  EXPECT_EQ(score_at_age(absl::Hours(24)), 0);
  EXPECT_EQ(score_at_age(-absl::Minutes(1)), 7) << "the shop's clock is ahead";
}

TEST(RiskRuleTest, OrdersCountBelowTheNumberAlone) {
  v1::BuyerHints hints;
  hints.set_earlier_orders(0);
  EXPECT_EQ(ScoreBy(1, {.hints = &hints}), 7);
  hints.set_earlier_orders(1);
  EXPECT_EQ(ScoreBy(1, {.hints = &hints}), 7);
  hints.set_earlier_orders(2);
  EXPECT_EQ(ScoreBy(1, {.hints = &hints}), 0);
}

TEST(RiskRuleTest, ALabelIsTheWholeOne) {
  v1::BuyerHints hints;
  hints.add_labels("vip2");
  EXPECT_EQ(ScoreBy(2, {.hints = &hints}), 0);
  hints.add_labels("vip");
  EXPECT_EQ(ScoreBy(2, {.hints = &hints}), 7);
  hints.add_labels("vip");
  EXPECT_EQ(ScoreBy(2, {.hints = &hints}), 7) << "once";
}

TEST(RiskRuleTest, WhatTheShopDoesNotSayHoldsForNoHintsAlone) {
  const v1::BuyerHints empty;
  for (const v1::BuyerHints* hints : {static_cast<const v1::BuyerHints*>(nullptr), &empty}) {
    for (int at = 0; at < 6; ++at) EXPECT_EQ(ScoreBy(at, {.hints = hints}), at == 3 ? 7 : 0) << at;
  }
  std::vector<v1::BuyerHints> said(4);
  said[0].set_risk_score(0);
  said[1].mutable_account_create_time();
  said[2].set_earlier_orders(0);
  said[3].add_labels("new");
  for (const v1::BuyerHints& hints : said) {
    EXPECT_EQ(ScoreBy(3, {.hints = &hints}), 0) << hints.ShortDebugString();
  }
}

TEST(RiskRuleTest, RefusalsAndMissingScriptsAreNoHints) {
  EXPECT_EQ(ScoreBy(4, {.many_refusals = true}), 7);
  EXPECT_EQ(ScoreBy(4, {.without_scripts = true}), 0);
  EXPECT_EQ(ScoreBy(5, {.without_scripts = true}), 7);
  EXPECT_EQ(ScoreBy(5, {.many_refusals = true}), 0);
}

TEST(RiskRuleTest, PointsAddUpInAnyOrderAndOnlyTheSumIsBounded) {
  DoorRisk risk = CompileRisk(RiskPolicy().risk());
  risk.points = {{.kind = v1::RiskPoints::kWithoutScripts, .points = 90},
                 {.kind = v1::RiskPoints::kNoHints, .points = -60}};
  risk.unscored = 50;
  const RiskFacts facts = {.without_scripts = true};
  EXPECT_EQ(RiskScore(risk, facts, kAskedAt), 80);
  std::swap(risk.points[0], risk.points[1]);
  EXPECT_EQ(RiskScore(risk, facts, kAskedAt), 80);
  risk.points[0].points = 60;
  EXPECT_EQ(RiskScore(risk, facts, kAskedAt), 100);
  risk.points[0].points = -100;
  risk.points[1].points = -100;
  EXPECT_EQ(RiskScore(risk, facts, kAskedAt), 0);
}

TEST(RiskRuleTest, ATierBeginsAtItsScore) {
  const DoorRisk risk = CompileRisk(RiskPolicy().risk());
  EXPECT_EQ(TierOf(risk, 0).number, 1);
  EXPECT_EQ(TierOf(risk, 29).number, 1);
  EXPECT_EQ(TierOf(risk, 30).number, 2);
  EXPECT_EQ(TierOf(risk, 59).number, 2);
  EXPECT_EQ(TierOf(risk, 60).number, 3);
  EXPECT_EQ(TierOf(risk, 99).number, 3);
  EXPECT_EQ(TierOf(risk, 100).number, 4);
}

DoorRisk RandomRisk(std::mt19937& random) {
  const auto number = [&random](int least, int most) { return std::uniform_int_distribution(least, most)(random); };
  DoorRisk risk;
  risk.unscored = number(0, 100);
  for (int i = number(0, 32); i > 0; --i) {
    // By chance it holds or not: there are facts for all kinds below.
    risk.points.push_back({.kind = static_cast<v1::RiskPoints::RuleCase>(number(2, 7)),
                           .points = number(-100, 100),
                           .younger_than = absl::Seconds(number(1, 200)),
                           .orders_fewer_than = number(1, 10),
                           .label = number(0, 1) == 0 ? "vip" : "new"});
  }
  risk.tiers.push_back({.number = 1});
  for (int score = number(1, 60); score <= 100 && risk.tiers.size() < 4; score += number(1, 40)) {
    risk.tiers.push_back({.number = static_cast<int>(risk.tiers.size()) + 1, .from_score = score});
  }
  return risk;
}

TEST(RiskRuleTest, WhateverTheRulesMorePointsNeverMakeALowerScoreOrTier) {
  std::mt19937 random(20'231'114);
  for (int round = 0; round < 5'000; ++round) {
    DoorRisk risk = RandomRisk(random);
    v1::BuyerHints hints;
    if (random() % 2 == 0) hints.add_labels("vip");
    if (random() % 2 == 0) hints.set_earlier_orders(static_cast<int>(random() % 10));
    if (random() % 2 == 0) *hints.mutable_account_create_time() = ToTimestamp(kAskedAt - absl::Seconds(random() % 200));
    const RiskFacts facts = {.hints = random() % 4 == 0 ? nullptr : &hints,
                             .without_scripts = random() % 2 == 0,
                             .many_refusals = random() % 2 == 0};
    const int score = RiskScore(risk, facts, kAskedAt);
    ASSERT_GE(score, 0);
    ASSERT_LE(score, 100);
    const int tier = TierOf(risk, score).number;
    const auto reached = std::count_if(risk.tiers.begin(), risk.tiers.end(),
                                       [score](const DoorTier& one) { return one.from_score <= score; });
    ASSERT_EQ(tier, reached) << score;
    for (RiskPointRule& rule : risk.points) {
      rule.points += 1 + static_cast<int>(random() % 30);
      const int more = RiskScore(risk, facts, kAskedAt);
      ASSERT_GE(more, score);
      ASSERT_GE(TierOf(risk, more).number, tier);
    }
  }
}

TEST(BuyerHintsTest, EveryFaultIsToldWithItsField) {
  v1::BuyerHints good;
  EXPECT_TRUE(CheckBuyerHints(good).ok());
  good.set_risk_score(100);
  *good.mutable_account_create_time() = ToTimestamp(kAskedAt);
  good.set_earlier_orders(0);
  for (int i = 0; i < 8; ++i) good.add_labels("a-0_z");
  EXPECT_TRUE(CheckBuyerHints(good).ok()) << CheckBuyerHints(good);
  const std::vector<std::pair<const char*, std::function<void(v1::BuyerHints&)>>> cases = {
      {"hints.risk_score", [](v1::BuyerHints& h) { h.set_risk_score(101); }},
      {"hints.risk_score", [](v1::BuyerHints& h) { h.set_risk_score(-1); }},
      {"hints.account_create_time", [](v1::BuyerHints& h) { h.mutable_account_create_time()->set_nanos(-1); }},
      {"hints.account_create_time", [](v1::BuyerHints& h) { h.mutable_account_create_time()->set_seconds(1LL << 60); }},
      {"hints.earlier_orders", [](v1::BuyerHints& h) { h.set_earlier_orders(-1); }},
      {"hints.labels", [](v1::BuyerHints& h) { h.add_labels("ninth"); }},
      {"hints.labels[2]", [](v1::BuyerHints& h) { h.set_labels(2, ""); }},
      {"hints.labels[2]", [](v1::BuyerHints& h) { h.set_labels(2, "with space"); }},
      {"hints.labels[7]", [](v1::BuyerHints& h) { h.set_labels(7, std::string(33, 'a')); }},
      {"hints.labels[0]", [](v1::BuyerHints& h) { h.set_labels(0, "\xc3\xa4"); }},
  };
  for (const auto& [field, spoil] : cases) {
    v1::BuyerHints hints = good;
    spoil(hints);
    const absl::Status status = CheckBuyerHints(hints);
    EXPECT_EQ(ReasonOf(status), "FIELD_INVALID") << field;
    EXPECT_EQ(MetadataOf(status, "field"), field) << hints.ShortDebugString();
  }
}

}  // namespace
}  // namespace tranche::server
