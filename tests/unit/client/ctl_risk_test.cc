// What `tranchectl door` understands of risk rules and of buyers, and shows of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <sstream>
#include <string>

#include "client/ctl/door_policy_arguments.h"
#include "client/ctl/door_view.h"
#include "client/ctl/field_arguments.h"
#include "client/ctl/risk_arguments.h"

namespace tranche::ctl {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using tranche::v1::FrontPolicy;

constexpr char kRiskRules[] =
    R"({"points": [{"points": 30, "account_younger_than": "604800s"}, {"points": -20, "label": "vip"}],
        "tiers": [{"from_score": 0, "challenge_bits": 0}, {"from_score": 30},
                  {"from_score": 60, "captcha": true, "challenge_bits": 16, "lottery_percent": 50, "tries": 3},
                  {"from_score": 95, "refuse": true}],
        "ask_scorer": true})";

PolicyFlags RiskyFlags() {
  PolicyFlags flags;
  flags.lottery = "10%";
  flags.token = "2m";
  flags.challenge = "12";
  flags.risk = kRiskRules;
  return flags;
}

FrontPolicy PolicyWith(const PolicyFlags& flags) {
  const auto policy = ApplyPolicyFlags(FrontPolicy(), flags);
  EXPECT_TRUE(policy.ok()) << policy.status();
  return policy.value_or(FrontPolicy());
}

template <typename PrintIt>
std::string RiskPrints(PrintIt print, std::string* told = nullptr) {
  std::ostringstream out, err;
  Session session(out, err);
  print(session);
  if (told != nullptr) *told = err.str();
  return out.str();
}

TEST(RiskFlagsTest, RulesAreSetReplacedKeptAndTakenAway) {
  const FrontPolicy first = PolicyWith(RiskyFlags());
  ASSERT_EQ(first.risk().tiers_size(), 4);
  EXPECT_EQ(first.risk().points(0).account_younger_than().seconds(), 7 * 86'400);
  EXPECT_TRUE(first.risk().ask_scorer());

  PolicyFlags other;
  other.challenge = "14";
  EXPECT_EQ(ApplyPolicyFlags(first, other)->risk().tiers_size(), 4) << "it was not named";
  PolicyFlags fewer;
  fewer.risk = R"({"tiers": [{"from_score": 0}]})";
  EXPECT_TRUE(fewer.Any());
  const auto replaced = ApplyPolicyFlags(first, fewer);
  ASSERT_TRUE(replaced.ok()) << replaced.status();
  EXPECT_EQ(replaced->risk().tiers_size(), 1);
  EXPECT_EQ(replaced->risk().points_size(), 0) << "no rule of before stays";
  EXPECT_FALSE(replaced->risk().ask_scorer());
  PolicyFlags none;
  none.no_risk = true;
  EXPECT_TRUE(none.Any());
  EXPECT_FALSE(ApplyPolicyFlags(first, none)->has_risk());
}

TEST(RiskFlagsTest, WhatIsNoRuleIsRefusedWithAnExample) {
  for (const char* text : {"{", R"({"tier": []})", R"({"points": [{"points": 3, "age": "1s"}]})"}) {
    PolicyFlags flags = RiskyFlags();
    flags.risk = text;
    EXPECT_THAT(std::string(ApplyPolicyFlags(FrontPolicy(), flags).status().message()),
                AllOf(HasSubstr("--risk: "), HasSubstr("from_score")))
        << text;
  }
}

TEST(RiskFlagsTest, WhatThePolicyLacksIsNamedByItsFlag) {
  const auto message = [](auto change) {
    PolicyFlags flags = RiskyFlags();
    change(flags);
    return std::string(ApplyPolicyFlags(FrontPolicy(), flags).status().message());
  };
  EXPECT_THAT(message([](PolicyFlags& flags) { flags.token = ""; }), HasSubstr("add --token"));
  EXPECT_THAT(message([](PolicyFlags& flags) { flags.challenge = ""; }), HasSubstr("add --challenge"));
  EXPECT_THAT(message([](PolicyFlags& flags) { flags.lottery = ""; }), HasSubstr("add --lottery"));
  PolicyFlags no_challenge;
  no_challenge.no_challenge = true;
  EXPECT_THAT(std::string(ApplyPolicyFlags(PolicyWith(RiskyFlags()), no_challenge).status().message()),
              HasSubstr("--no-risk"));
}

TEST(RiskViewTest, APolicyIsShownWithItsTiersAndPoints) {
  tranche::v1::StoredFrontPolicy stored;
  stored.set_sku_id("tv");
  *stored.mutable_policy() = PolicyWith(RiskyFlags());
  const std::string shown = RiskPrints([&](Session& session) { PrintPolicy(session, stored); });
  EXPECT_THAT(shown, AllOf(ContainsRegex("risk +4 tiers, 2 rules, asks the scorer, unscored 50 .default"),
                           ContainsRegex("1 +0 +no challenge"), ContainsRegex("2 +30 +as all"),
                           ContainsRegex("3 +60 +captcha, otherwise challenge of 16 bits, 50% of the lottery, "
                                         "counts as 3 tries"),
                           ContainsRegex("4 +95 +refused")));
  EXPECT_THAT(shown, AllOf(ContainsRegex("[+]30 +account younger than 7d"), ContainsRegex("-20 +label vip")));
  stored.mutable_policy()->clear_risk();
  EXPECT_THAT(RiskPrints([&](Session& session) { PrintPolicy(session, stored); }),
              AllOf(ContainsRegex("risk +none"), Not(HasSubstr("FROM SCORE"))));
}

TEST(RiskViewTest, AChangeShowsTheTiersAndRulesThatDiffer) {
  tranche::v1::SetFrontPolicyResponse change;
  *change.mutable_before()->mutable_policy() = PolicyWith(RiskyFlags());
  *change.mutable_policy() = change.before();
  tranche::v1::RiskRule& risk = *change.mutable_policy()->mutable_policy()->mutable_risk();
  risk.mutable_tiers(1)->set_captcha(true);
  risk.mutable_tiers()->RemoveLast();
  risk.mutable_points()->SwapElements(0, 1);  // their order counts for nothing
  std::string told;
  const auto print = [&](Session& session) { PrintPolicyChange(session, "tv", change, /*preview=*/true); };
  EXPECT_THAT(RiskPrints(print), AllOf(ContainsRegex("risk tier 2 +from 30: as all -> from 30: captcha"),
                                       ContainsRegex("risk tier 4 +from 95: refused -> none"),
                                       Not(HasSubstr("risk tier 1")), Not(HasSubstr("points: "))));

  *change.mutable_policy() = change.before();
  change.mutable_policy()->mutable_policy()->mutable_risk()->mutable_points(1)->set_points(-30);
  EXPECT_THAT(RiskPrints(print, &told),
              AllOf(ContainsRegex("points: label vip +-20 -> -30"), Not(HasSubstr("younger"))));
  EXPECT_THAT(told, Not(HasSubstr("nothing would change")));

  *change.mutable_policy() = change.before();
  RiskPrints(print, &told);
  EXPECT_THAT(told, HasSubstr("nothing would change"));
}

TEST(BuyerFlagsTest, SayWhatAShopWouldSay) {
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  EXPECT_FALSE(SaysAnything(BuyerFlags()));
  BuyerFlags flags;
  flags.risk_score = "0";
  flags.account_age = "3d";
  flags.orders = "7";
  flags.labels = {"vip", "staff"};
  EXPECT_TRUE(SaysAnything(flags));
  const auto hints = HintsOf(flags, now);
  ASSERT_TRUE(hints.ok()) << hints.status();
  EXPECT_TRUE(hints->has_risk_score());
  EXPECT_EQ(hints->account_create_time().seconds(), 1'800'000'000 - 3 * 86'400);
  EXPECT_EQ(hints->earlier_orders(), 7);
  EXPECT_EQ(hints->labels_size(), 2);
  EXPECT_EQ(*ParseAge("90m"), absl::Minutes(90));
  for (const char* text : {"d", "0d", "-3d", "3", "99999999999d", "inf"}) {
    flags.account_age = text;
    EXPECT_THAT(std::string(HintsOf(flags, now).status().message()), HasSubstr("--account-age: ")) << text;
  }
  flags.account_age = "";
  flags.orders = "many";
  EXPECT_THAT(std::string(HintsOf(flags, now).status().message()), HasSubstr("--orders: "));
}

TEST(BuyerFlagsTest, TheOldestAccountFitsATimestamp) {
  constexpr int64_t kYearOne = -62'135'596'800;  // protobuf's earliest second
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  for (const char* oldest : {"700000d", "16800000h"}) {
    BuyerFlags flags;
    flags.account_age = oldest;
    const auto hints = HintsOf(flags, now);
    ASSERT_TRUE(hints.ok()) << oldest << ": " << hints.status();
    EXPECT_EQ(hints->account_create_time().seconds(), 1'800'000'000 - int64_t{700'000} * 86'400);
    EXPECT_GE(hints->account_create_time().seconds(), kYearOne);
  }
  for (const char* older : {"700001d", "16800001h", "1000000d"}) {
    EXPECT_THAT(std::string(ParseAge(older).status().message()), HasSubstr("is not an age")) << older;
  }
}

TEST(BuyerFlagsTest, AreNamedWhereTheClusterRefusesThem) {
  EXPECT_EQ(ArgumentOf("hints.risk_score"), "--risk-score");
  EXPECT_EQ(ArgumentOf("hints.account_create_time"), "--account-age");
  EXPECT_EQ(ArgumentOf("hints.labels[2]"), "--label");
}

}  // namespace
}  // namespace tranche::ctl
