#include "server/admission/front_policy.h"

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "server/admission/lottery.h"
#include "tests/unit/server/error_matchers.h"

namespace tranche::server {
namespace {

v1::RateLimit LimitBy(v1::RateLimit::Key key, int32_t tries = 5, int64_t seconds = 1) {
  v1::RateLimit limit;
  limit.set_key(key);
  limit.set_tries(tries);
  limit.mutable_per()->set_seconds(seconds);
  return limit;
}

// One with every part.
v1::FrontPolicy FullPolicy() {
  v1::FrontPolicy policy;
  *policy.add_limits() = LimitBy(v1::RateLimit::KEY_SKU, 1000);
  *policy.add_limits() = LimitBy(v1::RateLimit::KEY_USER);
  *policy.add_limits() = LimitBy(v1::RateLimit::KEY_TOKEN);
  *policy.add_limits() = LimitBy(v1::RateLimit::KEY_ADDRESS, 50);
  policy.mutable_limits(1)->set_burst(3);
  policy.mutable_limits(1)->mutable_max_wait()->set_seconds(2);
  policy.mutable_lottery()->set_admitted_per_million(100'000);
  policy.mutable_purchase_token()->mutable_lifetime()->set_seconds(90);
  policy.mutable_challenge()->set_bits(10);
  policy.mutable_challenge()->mutable_lifetime()->set_seconds(60);
  return policy;
}

storage::FrontPolicyRow RowOf(const std::string& document) {
  storage::FrontPolicyRow row;
  row.sku_id = "tv";
  row.document = document;
  row.version = 7;
  return row;
}

storage::LotteryRound RoundOf(int32_t admitted_per_million) {
  storage::LotteryRound round;
  round.policy_sku_id = "tv";
  round.number = 3;
  round.key = std::string(storage::kFrontKeyBytes, 'k');
  round.commitment = Commitment(round.key);
  round.admitted_per_million = admitted_per_million;
  return round;
}

struct BadPolicy {
  const char* field;
  std::function<void(v1::FrontPolicy&)> spoil;
};

TEST(FrontPolicyTest, AFullPolicyAndAnEmptyOneAreTaken) {
  EXPECT_TRUE(CheckFrontPolicy(FullPolicy()).ok()) << CheckFrontPolicy(FullPolicy());
  EXPECT_TRUE(CheckFrontPolicy({}).ok()) << "a SKU that is to be free of the policy of all";
}

TEST(FrontPolicyTest, EveryFaultIsToldWithItsField) {
  const std::vector<BadPolicy> cases = {
      {"policy.limits[0].key", [](v1::FrontPolicy& p) { p.mutable_limits(0)->clear_key(); }},
      {"policy.limits[0].key",
       [](v1::FrontPolicy& p) { p.mutable_limits(0)->set_key(static_cast<v1::RateLimit::Key>(9)); }},
      {"policy.limits[3].key", [](v1::FrontPolicy& p) { p.mutable_limits(3)->set_key(v1::RateLimit::KEY_SKU); }},
      {"policy.limits[1].tries", [](v1::FrontPolicy& p) { p.mutable_limits(1)->set_tries(0); }},
      {"policy.limits[1].tries", [](v1::FrontPolicy& p) { p.mutable_limits(1)->set_tries(1'000'001); }},
      {"policy.limits[1].per", [](v1::FrontPolicy& p) { p.mutable_limits(1)->clear_per(); }},
      {"policy.limits[1].per", [](v1::FrontPolicy& p) { p.mutable_limits(1)->mutable_per()->set_seconds(86'401); }},
      {"policy.limits[1].per",
       [](v1::FrontPolicy& p) { p.mutable_limits(1)->mutable_per()->set_nanos(2'000'000'000); }},
      {"policy.limits[1].burst", [](v1::FrontPolicy& p) { p.mutable_limits(1)->set_burst(-1); }},
      {"policy.limits[1].burst", [](v1::FrontPolicy& p) { p.mutable_limits(1)->set_burst(1'000'001); }},
      {"policy.limits[1].burst",
       [](v1::FrontPolicy& p) {
         p.mutable_limits(1)->mutable_per()->set_seconds(86'400);
         p.mutable_limits(1)->set_burst(1'000'000);
       }},
      {"policy.limits[1].max_wait",
       [](v1::FrontPolicy& p) { p.mutable_limits(1)->mutable_max_wait()->set_seconds(-1); }},
      {"policy.limits[1].max_wait",
       [](v1::FrontPolicy& p) { p.mutable_limits(1)->mutable_max_wait()->set_seconds(4); }},
      {"policy.limits[1].key", [](v1::FrontPolicy& p) { p.mutable_limits()->DeleteSubrange(1, 1); }},
      {"policy.lottery.admitted_per_million",
       [](v1::FrontPolicy& p) { p.mutable_lottery()->set_admitted_per_million(0); }},
      {"policy.lottery.admitted_per_million",
       [](v1::FrontPolicy& p) { p.mutable_lottery()->set_admitted_per_million(1'000'001); }},
      {"policy.purchase_token.lifetime",
       [](v1::FrontPolicy& p) { p.mutable_purchase_token()->mutable_lifetime()->set_seconds(9); }},
      {"policy.purchase_token.lifetime",
       [](v1::FrontPolicy& p) { p.mutable_purchase_token()->mutable_lifetime()->set_seconds(601); }},
      {"policy.challenge.bits", [](v1::FrontPolicy& p) { p.mutable_challenge()->set_bits(3); }},
      {"policy.challenge.bits", [](v1::FrontPolicy& p) { p.mutable_challenge()->set_bits(21); }},
      {"policy.challenge.lifetime",
       [](v1::FrontPolicy& p) { p.mutable_challenge()->mutable_lifetime()->set_seconds(1801); }},
      {"policy.challenge.delay", [](v1::FrontPolicy& p) { p.mutable_challenge()->mutable_delay()->set_seconds(4); }},
      {"policy.challenge.delay", [](v1::FrontPolicy& p) { p.mutable_challenge()->mutable_delay()->set_seconds(601); }},
      {"policy.challenge.delay", [](v1::FrontPolicy& p) { p.mutable_challenge()->mutable_delay()->set_nanos(-1); }},
  };
  for (const BadPolicy& bad : cases) {
    v1::FrontPolicy policy = FullPolicy();
    bad.spoil(policy);
    const absl::Status status = CheckFrontPolicy(policy);
    EXPECT_EQ(ReasonOf(status), "FIELD_INVALID") << bad.field << ": " << policy.ShortDebugString();
    EXPECT_EQ(MetadataOf(status, "field"), bad.field) << policy.ShortDebugString();
  }
}

TEST(FrontPolicyTest, BoundsThemselvesAreTaken) {
  v1::FrontPolicy policy = FullPolicy();
  v1::RateLimit& limit = *policy.mutable_limits(1);
  limit.set_tries(1'000'000);
  limit.set_burst(1'000'000);
  limit.mutable_per()->set_seconds(0);
  limit.mutable_per()->set_nanos(1'000'000);
  limit.mutable_max_wait()->set_seconds(3);
  policy.mutable_lottery()->set_admitted_per_million(1'000'000);
  policy.mutable_purchase_token()->mutable_lifetime()->set_seconds(600);
  policy.mutable_challenge()->set_bits(20);
  policy.mutable_challenge()->mutable_lifetime()->set_seconds(1800);
  policy.mutable_challenge()->mutable_delay()->set_seconds(600);
  EXPECT_TRUE(CheckFrontPolicy(policy).ok()) << CheckFrontPolicy(policy);
  policy.mutable_challenge()->mutable_delay()->set_seconds(5);
  EXPECT_TRUE(CheckFrontPolicy(policy).ok()) << CheckFrontPolicy(policy);
}

TEST(FrontPolicyTest, ALimitByTokenNeedsTokensAndALimitByUser) {
  v1::FrontPolicy policy;
  *policy.add_limits() = LimitBy(v1::RateLimit::KEY_TOKEN);
  policy.mutable_purchase_token();
  EXPECT_EQ(MetadataOf(CheckFrontPolicy(policy), "field"), "policy.limits[0].key");
  *policy.add_limits() = LimitBy(v1::RateLimit::KEY_USER);
  EXPECT_TRUE(CheckFrontPolicy(policy).ok()) << "in any order";
  policy.clear_purchase_token();
  EXPECT_EQ(MetadataOf(CheckFrontPolicy(policy), "field"), "policy.limits[0].key");
}

TEST(FrontPolicyTest, AChallengeNeedsATokenThatItEarns) {
  v1::FrontPolicy policy;
  policy.mutable_challenge()->set_bits(10);
  EXPECT_EQ(MetadataOf(CheckFrontPolicy(policy), "field"), "policy.challenge");
}

// A newer client may set what would keep somebody out.
TEST(FrontPolicyTest, PartsThatThisVersionDoesNotKnowAreRefusedWhereverTheyAre) {
  const std::string unknown("\x7a\x00", 2);  // field 15, empty
  v1::FrontPolicy policy;
  ASSERT_TRUE(policy.ParseFromString(FullPolicy().SerializeAsString() + unknown));
  EXPECT_EQ(MetadataOf(CheckFrontPolicy(policy), "field"), "policy");
  policy = FullPolicy();
  ASSERT_TRUE(policy.mutable_limits(2)->ParseFromString(policy.limits(2).SerializeAsString() + unknown));
  EXPECT_EQ(MetadataOf(CheckFrontPolicy(policy), "field"), "policy");
  policy = FullPolicy();
  ASSERT_TRUE(policy.mutable_challenge()->ParseFromString(policy.challenge().SerializeAsString() + unknown));
  EXPECT_EQ(MetadataOf(CheckFrontPolicy(policy), "field"), "policy");
}

TEST(FrontPolicyTest, ADocumentIsReadAsItWasWritten) {
  for (const v1::FrontPolicy& policy : {FullPolicy(), v1::FrontPolicy()}) {
    const std::string document = ToDocument(policy);
    EXPECT_FALSE(document.empty()) << "that would remove it";
    EXPECT_LE(document.size(), storage::kMaxPolicyBytes);
    const absl::StatusOr<v1::FrontPolicy> read = FromDocument(document);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->SerializeAsString(), policy.SerializeAsString());
    EXPECT_EQ(ToDocument(*read), document) << "the same for equal policies";
  }
}

TEST(FrontPolicyTest, ADrawIsReadAsItWasWrittenAndExcludesALottery) {
  v1::FrontPolicy policy = FullPolicy();
  policy.mutable_draw();
  EXPECT_EQ(MetadataOf(CheckFrontPolicy(policy), "field"), "policy.draw");
  policy.clear_lottery();
  EXPECT_TRUE(CheckFrontPolicy(policy).ok()) << CheckFrontPolicy(policy);
  const absl::StatusOr<v1::FrontPolicy> read = FromDocument(ToDocument(policy));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(read->has_draw());
  EXPECT_TRUE(CompilePolicy(RowOf(R"({"draw":{}})")).draw);
  EXPECT_FALSE(CompilePolicy(RowOf("{}")).draw);
  EXPECT_NE(CompilePolicy(RowOf(R"({"draw":{"of_tomorrow":1}})")).unreadable, "");
}

// With what a room needs beside it.
v1::FrontPolicy FullPolicyWithRoom() {
  v1::FrontPolicy policy = FullPolicy();
  policy.clear_lottery();
  policy.mutable_room()->set_buyers_per_second(200);
  policy.mutable_room()->set_ahead_percent(150);
  policy.mutable_room()->mutable_poll_interval()->set_seconds(30);
  return policy;
}

TEST(FrontPolicyTest, EveryFaultOfARoomIsToldWithItsField) {
  const std::vector<BadPolicy> cases = {
      {"policy.room.buyers_per_second", [](v1::FrontPolicy& p) { p.mutable_room()->set_buyers_per_second(-1); }},
      {"policy.room.buyers_per_second", [](v1::FrontPolicy& p) { p.mutable_room()->set_buyers_per_second(1'000'001); }},
      {"policy.room.ahead_percent", [](v1::FrontPolicy& p) { p.mutable_room()->set_ahead_percent(-1); }},
      {"policy.room.ahead_percent", [](v1::FrontPolicy& p) { p.mutable_room()->set_ahead_percent(9); }},
      {"policy.room.ahead_percent", [](v1::FrontPolicy& p) { p.mutable_room()->set_ahead_percent(10'001); }},
      {"policy.room.poll_interval",
       [](v1::FrontPolicy& p) { p.mutable_room()->mutable_poll_interval()->set_seconds(1); }},
      {"policy.room.poll_interval",
       [](v1::FrontPolicy& p) { p.mutable_room()->mutable_poll_interval()->set_nanos(2'000'000'000); }},
      {"policy.room.poll_interval",
       [](v1::FrontPolicy& p) { p.mutable_room()->mutable_poll_interval()->set_seconds(61); }},
      {"policy.room", [](v1::FrontPolicy& p) { p.mutable_lottery()->set_admitted_per_million(1'000'000); }},
      {"policy.room", [](v1::FrontPolicy& p) { p.mutable_draw(); }},
      {"policy.room",
       [](v1::FrontPolicy& p) {
         p.clear_purchase_token();
         p.clear_challenge();
         p.mutable_limits()->DeleteSubrange(2, 1);
       }},
      {"policy.room", [](v1::FrontPolicy& p) { p.mutable_limits()->DeleteSubrange(1, 2); }},
  };
  ASSERT_TRUE(CheckFrontPolicy(FullPolicyWithRoom()).ok()) << CheckFrontPolicy(FullPolicyWithRoom());
  for (const BadPolicy& bad : cases) {
    v1::FrontPolicy policy = FullPolicyWithRoom();
    bad.spoil(policy);
    const absl::Status status = CheckFrontPolicy(policy);
    EXPECT_EQ(ReasonOf(status), "FIELD_INVALID") << bad.field << ": " << policy.ShortDebugString();
    EXPECT_EQ(MetadataOf(status, "field"), bad.field) << policy.ShortDebugString();
  }
}

TEST(FrontPolicyTest, BoundsOfARoomAreTaken) {
  v1::FrontPolicy policy = FullPolicyWithRoom();
  v1::RoomRule& room = *policy.mutable_room();
  room.set_buyers_per_second(1'000'000);
  room.set_ahead_percent(10'000);
  room.mutable_poll_interval()->set_seconds(60);
  EXPECT_TRUE(CheckFrontPolicy(policy).ok()) << CheckFrontPolicy(policy);
  room.set_buyers_per_second(0);
  room.set_ahead_percent(10);
  room.mutable_poll_interval()->set_seconds(2);
  EXPECT_TRUE(CheckFrontPolicy(policy).ok()) << CheckFrontPolicy(policy);
  room.Clear();
  EXPECT_TRUE(CheckFrontPolicy(policy).ok()) << "a room that lets nobody in yet";
}

TEST(FrontPolicyTest, ARoomIsReadAsItWasWritten) {
  const v1::FrontPolicy policy = FullPolicyWithRoom();
  const absl::StatusOr<v1::FrontPolicy> read = FromDocument(ToDocument(policy));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->SerializeAsString(), policy.SerializeAsString());
  EXPECT_NE(CompilePolicy(RowOf(R"({"room":{"of_tomorrow":1}})")).unreadable, "");
}

TEST(FrontPolicyTest, ARoomIsCompiledWithItsRound) {
  storage::FrontPolicyRow row = RowOf(ToDocument(FullPolicyWithRoom()));
  row.round = RoundOf(storage::kEverybody);
  const DoorPolicy compiled = CompilePolicy(row);
  EXPECT_EQ(compiled.unreadable, "");
  EXPECT_FALSE(compiled.lottery.has_value());
  ASSERT_TRUE(compiled.room.has_value());
  EXPECT_EQ(compiled.room->round, 3);
  EXPECT_EQ(compiled.room->key, row.round->key);
  EXPECT_EQ(compiled.room->commitment, row.round->commitment);
  EXPECT_EQ(compiled.room->buyers_per_s, 200);
  EXPECT_DOUBLE_EQ(compiled.room->ahead, 1.5);
  EXPECT_EQ(compiled.room->poll_interval, absl::Seconds(30));
}

TEST(FrontPolicyTest, ARoomHasDefaults) {
  storage::FrontPolicyRow row =
      RowOf(R"({"limits":[{"key":"KEY_USER","tries":5,"per":"1s"}],"purchase_token":{},"room":{}})");
  row.round = RoundOf(storage::kEverybody);
  const DoorPolicy compiled = CompilePolicy(row);
  EXPECT_EQ(compiled.unreadable, "");
  ASSERT_TRUE(compiled.room.has_value());
  EXPECT_EQ(compiled.room->buyers_per_s, 0);
  EXPECT_DOUBLE_EQ(compiled.room->ahead, 2);
  EXPECT_EQ(compiled.room->poll_interval, absl::Seconds(20));
}

// Not open to all: that is what it must not be. What waits in it could not be told apart for many SKUs.
TEST(FrontPolicyTest, ARoomWithoutItsRoundOrItsSkuIsUnreadable) {
  storage::FrontPolicyRow row = RowOf(ToDocument(FullPolicyWithRoom()));
  EXPECT_TRUE(absl::StrContains(CompilePolicy(row).unreadable, "its room has no round"));
  row.round = RoundOf(storage::kEverybody);
  row.round->key.pop_back();
  EXPECT_TRUE(absl::StrContains(CompilePolicy(row).unreadable, "its room has no round"));
  row.round = RoundOf(storage::kEverybody);
  row.sku_id = storage::kEverySku;
  const DoorPolicy of_all = CompilePolicy(row);
  EXPECT_TRUE(absl::StrContains(of_all.unreadable, "not of one SKU")) << of_all.unreadable;
  EXPECT_FALSE(of_all.room.has_value());
}

// Each part of a risk rule, and 0 wherever that is not the same as absent.
v1::FrontPolicy FullPolicyWithRisk() {
  v1::FrontPolicy policy = FullPolicy();
  policy.mutable_challenge()->mutable_delay()->set_seconds(60);
  v1::RiskRule& risk = *policy.mutable_risk();
  for (int i = 0; i < 6; ++i) risk.add_points()->set_points(10 * i - 25);
  risk.mutable_points(0)->mutable_account_younger_than()->set_seconds(864'000'000);
  risk.mutable_points(1)->set_orders_fewer_than(1);
  risk.mutable_points(2)->set_label("vip");
  risk.mutable_points(3)->set_no_hints(true);
  risk.mutable_points(4)->set_address_refusals(20);
  risk.mutable_points(5)->set_without_scripts(true);
  risk.add_tiers()->set_challenge_bits(0);
  risk.add_tiers()->set_from_score(40);
  risk.mutable_tiers(1)->set_lottery_percent(0);
  risk.mutable_tiers(1)->set_tries(2);
  risk.mutable_tiers(1)->set_captcha(true);
  risk.add_tiers()->set_from_score(90);
  risk.mutable_tiers(2)->set_refuse(true);
  risk.set_ask_scorer(true);
  risk.set_unscored(0);
  return policy;
}

TEST(FrontPolicyTest, ARiskRuleAndADelayAreReadAsTheyWereWritten) {
  const v1::FrontPolicy policy = FullPolicyWithRisk();
  ASSERT_TRUE(CheckFrontPolicy(policy).ok()) << CheckFrontPolicy(policy);
  const absl::StatusOr<v1::FrontPolicy> read = FromDocument(ToDocument(policy));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->SerializeAsString(), policy.SerializeAsString()) << read->ShortDebugString();
  EXPECT_TRUE(read->risk().has_unscored()) << "0 is not absent";
  EXPECT_TRUE(read->risk().tiers(0).has_challenge_bits());
  EXPECT_TRUE(read->risk().tiers(1).has_lottery_percent());
  EXPECT_NE(CompilePolicy(RowOf(R"({"purchase_token":{},"risk":{"tiers":[{}],"of_tomorrow":1}})")).unreadable, "");
  EXPECT_NE(CompilePolicy(RowOf(R"({"purchase_token":{},"risk":{"tiers":[{"slow":true}]}})")).unreadable, "");
}

// The longest that the check takes.
TEST(FrontPolicyTest, TheLargestRiskRuleFitsIntoTheLedger) {
  v1::FrontPolicy policy = FullPolicyWithRisk();
  while (policy.risk().points_size() < 32) {
    v1::RiskPoints& points = *policy.mutable_risk()->add_points();
    points.set_points(-100);
    points.set_label(std::string(32, 'v'));
  }
  ASSERT_TRUE(CheckFrontPolicy(policy).ok()) << CheckFrontPolicy(policy);
  EXPECT_LE(ToDocument(policy).size(), storage::kMaxPolicyBytes);
}

TEST(FrontPolicyTest, ARiskRuleAndADelayAreCompiled) {
  storage::FrontPolicyRow row = RowOf(ToDocument(FullPolicyWithRisk()));
  row.round = RoundOf(100'000);
  const DoorPolicy compiled = CompilePolicy(row);
  EXPECT_EQ(compiled.unreadable, "");
  EXPECT_EQ(compiled.challenge->delay, absl::Minutes(1));
  ASSERT_TRUE(compiled.risk.has_value());
  EXPECT_EQ(compiled.risk->points.size(), 6u);
  EXPECT_EQ(compiled.risk->tiers.size(), 3u);
  EXPECT_EQ(compiled.risk->address_refusals, 20);
  const DoorPolicy without = CompilePolicy(RowOf(R"({"purchase_token":{},"challenge":{"bits":8}})"));
  EXPECT_FALSE(without.risk.has_value());
  EXPECT_FALSE(without.challenge->delay.has_value());
}

// It is in ledgers: another form would make every policy a changed one.
TEST(FrontPolicyTest, TheFormOfADocumentStays) {
  v1::FrontPolicy policy;
  *policy.add_limits() = LimitBy(v1::RateLimit::KEY_USER);
  policy.mutable_limits(0)->mutable_max_wait()->set_nanos(500'000'000);
  policy.mutable_lottery()->set_admitted_per_million(100'000);
  policy.mutable_purchase_token();
  EXPECT_EQ(ToDocument(policy), R"({"limits":[{"key":"KEY_USER","tries":5,"per":"1s","max_wait":"0.500s"}],)"
                                R"("lottery":{"admitted_per_million":100000},"purchase_token":{}})");
}

TEST(FrontPolicyTest, ADocumentThatThisVersionKnowsInPartIsNotRead) {
  for (const char* document : {
           "",
           "{",
           "[]",
           R"({"turnstile":{}})",
           R"({"limits":[{"key":"KEY_USER","tries":5,"per":"1s","weight":2}]})",
           R"({"limits":[{"key":"KEY_FINGERPRINT","tries":5,"per":"1s"}]})",
           R"({"limits":[{"key":9,"tries":5,"per":"1s"}]})",
           R"({"limits":[{"key":"KEY_USER","tries":5000000,"per":"1s"}]})",
           R"({"purchase_token":{},"challenge":{"bits":40}})",
       }) {
    const absl::Status status = FromDocument(document).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << document << ": " << status;
    const DoorPolicy compiled = CompilePolicy(RowOf(document));
    EXPECT_FALSE(compiled.unreadable.empty()) << document;
    EXPECT_EQ(compiled.sku_id, "tv");
    EXPECT_TRUE(compiled.limits.empty());
  }
}

TEST(FrontPolicyTest, LimitsAreCompiledInTheOrderOfTheChecks) {
  storage::FrontPolicyRow row = RowOf(ToDocument(FullPolicy()));
  row.round = RoundOf(100'000);
  const DoorPolicy compiled = CompilePolicy(row);
  EXPECT_EQ(compiled.unreadable, "");
  EXPECT_EQ(compiled.version, 7);
  ASSERT_EQ(compiled.limits.size(), 4u);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(compiled.limits[i].kind, kRateKeyKinds[i]);
  const RateRule& by_user = compiled.limits[0].rule;
  EXPECT_EQ(by_user.interval, absl::Milliseconds(200));
  EXPECT_EQ(by_user.tolerance, absl::Milliseconds(400)) << "three at once";
  EXPECT_EQ(by_user.max_wait, absl::Seconds(2));
  EXPECT_EQ(compiled.limits[1].rule.tolerance, absl::Milliseconds(80)) << "100 ms allow five";
  EXPECT_EQ(compiled.limits[2].rule.tolerance, absl::Milliseconds(800)) << "all five of a buyer";
  EXPECT_EQ(compiled.limits[2].rule.max_wait, absl::ZeroDuration());
  EXPECT_EQ(compiled.token_lifetime, absl::Seconds(90));
  ASSERT_TRUE(compiled.challenge.has_value());
  EXPECT_EQ(compiled.challenge->bits, 10);
  EXPECT_EQ(compiled.challenge->lifetime, absl::Minutes(1));
}

TEST(FrontPolicyTest, AnIntervalIsRoundedUp) {
  const auto rule_of = [](const std::string& limit) {
    return CompilePolicy(RowOf(R"({"limits":[{"key":"KEY_SKU",)" + limit + "}]}")).limits.at(0).rule;
  };
  const auto interval_of = [&](const std::string& limit) { return rule_of(limit).interval; };
  EXPECT_EQ(interval_of(R"("tries":3,"per":"1s")"), absl::Nanoseconds(333'333'334));
  EXPECT_EQ(interval_of(R"("tries":1000000,"per":"0.001500s")"), absl::Nanoseconds(2)) << "1 ns is 1.5 times the limit";
  EXPECT_EQ(interval_of(R"("tries":4,"per":"1s")"), absl::Milliseconds(250));
  const RateRule thirty = rule_of(R"("tries":30,"per":"1s")");
  EXPECT_EQ(thirty.tolerance, 2 * thirty.interval) << "100 ms allow three";
}

TEST(FrontPolicyTest, AnOmittedBurstIsAllTriesOfABuyerAndAMomentsOfAllBuyers) {
  for (const v1::RateLimit::Key key : {v1::RateLimit::KEY_USER, v1::RateLimit::KEY_TOKEN}) {
    EXPECT_EQ(BurstOf(LimitBy(key, 5, 10)), 5) << key;
    EXPECT_EQ(BurstOf(LimitBy(key, 1, 10)), 1) << key;
    EXPECT_EQ(BurstOf(LimitBy(key, 1'000, 1)), 1'000) << key;
  }
  for (const v1::RateLimit::Key key : {v1::RateLimit::KEY_ADDRESS, v1::RateLimit::KEY_SKU}) {
    EXPECT_EQ(BurstOf(LimitBy(key, 5, 10)), 1) << key;
    EXPECT_EQ(BurstOf(LimitBy(key, 1'000, 1)), 100) << key;
  }
  v1::RateLimit limit = LimitBy(v1::RateLimit::KEY_USER, 5, 10);
  limit.set_burst(2);
  EXPECT_EQ(BurstOf(limit), 2);
  const DoorPolicy compiled = CompilePolicy(RowOf(R"({"limits":[{"key":"KEY_USER","tries":5,"per":"10s"}]})"));
  EXPECT_EQ(compiled.limits.at(0).rule.tolerance, absl::Seconds(8)) << "five at once, then one in 2 s";
}

// Without a burst a limit is worth a day at most, so it is never refused for it.
TEST(FrontPolicyTest, AnOmittedBurstIsAlwaysTaken) {
  v1::FrontPolicy policy;
  *policy.add_limits() = LimitBy(v1::RateLimit::KEY_USER, 1'000'000, 86'400);
  EXPECT_TRUE(CheckFrontPolicy(policy).ok()) << CheckFrontPolicy(policy);
}

TEST(FrontPolicyTest, LifetimesHaveDefaults) {
  const DoorPolicy compiled = CompilePolicy(RowOf(R"({"purchase_token":{},"challenge":{"bits":8}})"));
  EXPECT_EQ(compiled.unreadable, "");
  EXPECT_EQ(compiled.token_lifetime, absl::Minutes(2));
  EXPECT_EQ(compiled.challenge->lifetime, absl::Minutes(5));
  EXPECT_FALSE(CompilePolicy(RowOf("{}")).token_lifetime.has_value());
}

TEST(FrontPolicyTest, ALotteryIsThatOfItsRound) {
  storage::FrontPolicyRow row = RowOf(R"({"lottery":{"admitted_per_million":100000}})");
  row.round = RoundOf(250'000);
  const DoorPolicy compiled = CompilePolicy(row);
  ASSERT_TRUE(compiled.lottery.has_value());
  EXPECT_EQ(compiled.lottery->round, 3);
  EXPECT_EQ(compiled.lottery->key, row.round->key);
  EXPECT_EQ(compiled.lottery->commitment, row.round->commitment);
  EXPECT_EQ(compiled.lottery->threshold, Threshold(250'000));
}

// Not open to all: that is what it must not be.
TEST(FrontPolicyTest, ALotteryWithoutItsRoundIsUnreadable) {
  storage::FrontPolicyRow row = RowOf(R"({"lottery":{"admitted_per_million":100000}})");
  EXPECT_TRUE(absl::StrContains(CompilePolicy(row).unreadable, "round"));
  row.round = RoundOf(100'000);
  row.round->key.pop_back();
  EXPECT_TRUE(absl::StrContains(CompilePolicy(row).unreadable, "round"));
}

}  // namespace
}  // namespace tranche::server
