// What `tranchectl door` understands and shows: policies, lists, and what the door says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/ctl/access_file.h"
#include "client/ctl/door_policy_arguments.h"
#include "client/ctl/door_view.h"
#include "client/ctl/hints.h"
#include "client/internal/status_translation.h"

namespace tranche::ctl {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using tranche::v1::AccessEntry;
using tranche::v1::FrontPolicy;
using tranche::v1::RateLimit;

const absl::Time kToday = absl::FromUnixSeconds(1'800'000'000);  // 2027-01-15T08:00:00Z

FrontPolicy PolicyOf(const PolicyFlags& flags) {
  const auto policy = ApplyPolicyFlags(FrontPolicy(), flags);
  EXPECT_TRUE(policy.ok()) << policy.status();
  return policy.value_or(FrontPolicy());
}

TEST(RateLimitTest, IsReadAndShownInTheSameWords) {
  for (const char* text :
       {"user=5/1s", "address=50/1m", "token=1/500ms,burst=3", "sku=1000/1s,wait=2s", "user=5/1s,burst=3,wait=1.5s"}) {
    const auto limit = ParseRateLimit(text);
    ASSERT_TRUE(limit.ok()) << text << ": " << limit.status();
    EXPECT_EQ(FormatRateLimit(*limit), text);
  }
  const auto limit = ParseRateLimit("Address=7/m,wait=250ms");
  ASSERT_TRUE(limit.ok()) << limit.status();
  EXPECT_EQ(limit->key(), RateLimit::KEY_ADDRESS);
  EXPECT_EQ(limit->tries(), 7);
  EXPECT_EQ(limit->per().seconds(), 60);
  EXPECT_EQ(limit->burst(), 0);
  EXPECT_EQ(limit->max_wait().nanos(), 250'000'000);
}

TEST(RateLimitTest, ABurstThatIsNotThereIsShownAsTheOneThatCounts) {
  const auto described = [](const char* text) {
    const auto limit = ParseRateLimit(text);
    EXPECT_TRUE(limit.ok()) << text << ": " << limit.status();
    return limit.ok() ? DescribeRateLimit(*limit) : "";
  };
  EXPECT_EQ(described("user=5/10s"), "user=5/10s, burst 5 (default)");
  EXPECT_EQ(described("token=1/10s"), "token=1/10s, burst 1 (default)");
  EXPECT_EQ(described("address=300/1s,wait=2s"), "address=300/1s,wait=2s, burst 30 (default)");
  EXPECT_EQ(described("sku=5/10s"), "sku=5/10s, burst 1 (default)");
  EXPECT_EQ(described("user=5/10s,burst=3"), "user=5/10s,burst=3");
}

TEST(RateLimitTest, WhatIsNoneIsRefusedWithAnExample) {
  for (const char* text : {"", "user", "user=", "user=5", "user=5/1", "user=x/1s", "user=5/1s,", "user=5/1s,burst=0",
                           "user=5/1s,burst=", "user=5/1s,wait=2", "user=5/1s,for=2s", "user=5/1s/2s"}) {
    EXPECT_THAT(ParseRateLimit(text).status().message(), HasSubstr("user=5/1s,burst=3,wait=2s")) << text;
  }
  EXPECT_THAT(ParseRateLimit("buyer=5/1s").status().message(), HasSubstr("none of user, address, token and sku"));
}

TEST(ShareTest, IsAPercentageOrANumberOfAMillion) {
  EXPECT_EQ(*ParseShare("10%"), 100'000);
  EXPECT_EQ(*ParseShare("0.25%"), 2'500);
  EXPECT_EQ(*ParseShare("0.0001%"), 1);
  EXPECT_EQ(*ParseShare("100%"), 1'000'000);
  EXPECT_EQ(*ParseShare("100000"), 100'000);
  EXPECT_EQ(*ParseShare("101"), 101);
  EXPECT_EQ(*ParseShare("10/1000000"), 10);
  for (const char* text : {"", "%", "ten%", "1.%", ".5%", "0.00001%", "1.2.3%", "-1%", "1000%0", "0.1", "-1", "10/100",
                           "/1000000", "10%/1000000"}) {
    EXPECT_FALSE(ParseShare(text).ok()) << text;
  }
  for (const char* text : {"10", "100", "0"}) {
    EXPECT_THAT(std::string(ParseShare(text).status().message()),
                AllOf(HasSubstr(absl::StrCat(text, "%?")), HasSubstr(absl::StrCat(text, "/1000000"))));
  }
  for (const int32_t per_million : {1, 2'500, 100'000, 123'456, 1'000'000}) {
    EXPECT_EQ(*ParseShare(FormatShare(per_million)), per_million);
  }
  EXPECT_EQ(FormatShare(100'000), "10%");
  EXPECT_EQ(FormatShare(2'500), "0.25%");
}

TEST(PolicyFlagsTest, ChangeWhatTheyNameAndKeepTheRest) {
  PolicyFlags first;
  first.limits = {"user=5/1s", "address=50/1s"};
  first.lottery = "10%";
  first.token = "90s";
  first.challenge = "12,lifetime=5m";
  const FrontPolicy before = PolicyOf(first);

  PolicyFlags second;
  second.limits = {"user=9/1s", "sku=100/1s"};
  second.no_limits = {"address"};
  second.no_lottery = true;
  second.token = kTokenOfAnyLifetime;
  second.challenge = "14";
  const auto after = ApplyPolicyFlags(before, second);
  ASSERT_TRUE(after.ok()) << after.status();
  ASSERT_EQ(after->limits_size(), 2);
  EXPECT_EQ(FormatRateLimit(after->limits(0)), "user=9/1s");
  EXPECT_EQ(FormatRateLimit(after->limits(1)), "sku=100/1s");
  EXPECT_FALSE(after->has_lottery());
  EXPECT_EQ(FormatTokenRule(after->purchase_token()), "1m30s") << "it was not named";
  EXPECT_EQ(FormatChallenge(after->challenge()), "14 bits, lifetime 5m");

  PolicyFlags third;
  third.no_token = third.no_challenge = true;
  const auto without = ApplyPolicyFlags(*after, third);
  ASSERT_TRUE(without.ok()) << without.status();
  EXPECT_FALSE(without->has_purchase_token());
  EXPECT_FALSE(without->has_challenge());
  EXPECT_EQ(without->limits_size(), 2);

  EXPECT_FALSE(PolicyFlags().Any());
  EXPECT_TRUE(third.Any());
}

TEST(PolicyFlagsTest, ADelayIsSetKeptAndTakenAway) {
  PolicyFlags flags;
  flags.token = kTokenOfAnyLifetime;
  flags.challenge = "12,delay=60s,lifetime=5m";
  FrontPolicy policy = PolicyOf(flags);
  EXPECT_EQ(FormatChallenge(policy.challenge()), "12 bits, lifetime 5m, delay 1m");
  PolicyFlags harder;
  harder.challenge = "14";
  policy = *ApplyPolicyFlags(policy, harder);
  EXPECT_EQ(FormatChallenge(policy.challenge()), "14 bits, lifetime 5m, delay 1m") << "it was not named";
  PolicyFlags none;
  none.challenge = "14,delay=none";
  EXPECT_EQ(FormatChallenge(ApplyPolicyFlags(policy, none)->challenge()), "14 bits, lifetime 5m");
}

TEST(PolicyFlagsTest, ATokenNeedsNoLifetime) {
  PolicyFlags flags;
  flags.token = kTokenOfAnyLifetime;
  EXPECT_FALSE(PolicyOf(flags).purchase_token().has_lifetime());
  EXPECT_TRUE(PolicyOf(flags).has_purchase_token());
  EXPECT_EQ(FormatTokenRule(PolicyOf(flags).purchase_token()), "2m (default)");
}

TEST(PolicyFlagsTest, ADrawIsSetAndTakenAway) {
  PolicyFlags flags;
  flags.draw = true;
  EXPECT_TRUE(flags.Any());
  const FrontPolicy with = PolicyOf(flags);
  EXPECT_TRUE(with.has_draw());
  PolicyFlags other;
  other.token = "90s";
  EXPECT_TRUE(ApplyPolicyFlags(with, other)->has_draw()) << "it was not named";
  PolicyFlags without;
  without.no_draw = true;
  EXPECT_TRUE(without.Any());
  EXPECT_FALSE(ApplyPolicyFlags(with, without)->has_draw());
}

TEST(PolicyFlagsTest, NameTheFlagThatIsWrong) {
  const auto message = [](auto change) {
    PolicyFlags flags;
    change(flags);
    return std::string(ApplyPolicyFlags(FrontPolicy(), flags).status().message());
  };
  EXPECT_THAT(message([](PolicyFlags& flags) { flags.limits = {"user=5"}; }), HasSubstr("--limit: "));
  EXPECT_THAT(message([](PolicyFlags& flags) { flags.limits = {"user=5/1s", "user=6/1s"}; }), HasSubstr("twice"));
  EXPECT_THAT(message([](PolicyFlags& flags) { flags.no_limits = {"buyer"}; }), HasSubstr("--no-limit: "));
  EXPECT_THAT(message([](PolicyFlags& flags) { flags.lottery = "some"; }), HasSubstr("--lottery: "));
  EXPECT_THAT(message([](PolicyFlags& flags) { flags.token = "long"; }), HasSubstr("--token: "));
  for (const char* text : {"hard", "12,5m", "12,lifetime=soon", "12,lifetime=5m,more", "12,delay=soon", "12,delay"}) {
    EXPECT_THAT(message([&](PolicyFlags& flags) { flags.challenge = text; }), HasSubstr("--challenge: ")) << text;
  }
}

TEST(PolicyJsonTest, IsWhatShowPrintsAndNothingElse) {
  const auto policy = ParsePolicyJson(
      R"({"limits": [{"key": "KEY_USER", "tries": 5, "per": "1s", "max_wait": "2s"}],
          "lottery": {"admitted_per_million": 100000}, "purchase_token": {}})");
  ASSERT_TRUE(policy.ok()) << policy.status();
  ASSERT_EQ(policy->limits_size(), 1);
  EXPECT_EQ(FormatRateLimit(policy->limits(0)), "user=5/1s,wait=2s");
  EXPECT_EQ(policy->lottery().admitted_per_million(), 100'000);
  EXPECT_TRUE(policy->has_purchase_token());
  for (const char* text : {"", "{", R"({"limit": []})", R"({"lottery": 10})"}) {
    EXPECT_THAT(ParsePolicyJson(text).status().message(), HasSubstr("not a policy in JSON")) << text;
  }
}

absl::StatusOr<std::vector<AccessLine>> LinesOf(const std::string& text) {
  std::istringstream in(text);
  return ReadAccessLines(in, kToday);
}

TEST(AccessFileTest, HasOneEntryALine) {
  const auto lines = LinesOf(
      "\xEF\xBB\xBFverdict,kind,value,expires,reason\r\n"
      "deny,user,bob,2027-02-01T00:00:00Z,\"stolen \"\"cards\"\", twice\"\r\n"
      "\n"
      "# known shops\n"
      "allow,address,203.0.113.0/24,24h\n"
      "DENY, address , 2001:db8::/48\n"
      "deny,user,\"a,b\",,");
  ASSERT_TRUE(lines.ok()) << lines.status();
  ASSERT_EQ(lines->size(), 4u);
  const AccessEntry& bob = (*lines)[0].entry;
  EXPECT_EQ((*lines)[0].line, 2);
  EXPECT_EQ(bob.verdict(), AccessEntry::VERDICT_DENY);
  EXPECT_EQ(bob.user_id(), "bob");
  EXPECT_EQ(bob.expire_time().seconds(), 1'801'440'000);
  EXPECT_EQ(bob.reason(), "stolen \"cards\", twice");
  EXPECT_EQ((*lines)[1].line, 5);
  EXPECT_EQ((*lines)[1].entry.verdict(), AccessEntry::VERDICT_ALLOW);
  EXPECT_EQ((*lines)[1].entry.address(), "203.0.113.0/24");
  EXPECT_EQ((*lines)[1].entry.expire_time().seconds(), absl::ToUnixSeconds(kToday) + 86'400);
  EXPECT_EQ((*lines)[2].entry.address(), "2001:db8::/48");
  EXPECT_FALSE((*lines)[2].entry.has_expire_time());
  EXPECT_EQ((*lines)[3].entry.user_id(), "a,b");
}

TEST(AccessFileTest, TellsWhichLinesAreWrong) {
  const auto lines = LinesOf(
      "deny,user,bob\n"
      "refuse,user,carol\n"
      "deny,buyer,dave\n"
      "deny,user,bob\n"
      "deny,address,203.0.113.0/33\n"
      "deny,address,shop.example\n"
      "deny,user\n"
      "deny,user,\"erin\n"
      "deny,user,frank,soon\n"
      "deny,user,\n");
  EXPECT_THAT(std::string(lines.status().message()),
              AllOf(HasSubstr("line 2: \"refuse\" is neither allow nor deny"),
                    HasSubstr("line 3: \"buyer\" is neither user nor address"),
                    HasSubstr("line 4: the same user bob is in line 1"), HasSubstr("line 5: \"203.0.113.0/33\""),
                    HasSubstr("line 6: \"shop.example\""), HasSubstr("line 7: it is not verdict,kind,value"),
                    HasSubstr("line 8: its quotes"), HasSubstr("line 9: \"soon\""), HasSubstr("line 10: a user is"),
                    Not(HasSubstr("line 1:"))));
}

TEST(AccessFileTest, AnAddressIsTheSameHoweverItIsWritten) {
  const auto lines = LinesOf(
      "deny,address,2001:db8::/48\n"
      "allow,address,2001:DB8:0::/48\n"
      "deny,address,203.0.113.7\n"
      "deny,address,203.0.113.7/32\n"
      "deny,address,::ffff:203.0.113.7\n"
      "deny,address,203.0.113.7/31\n"
      "deny,address,2001:db8::/49\n");
  EXPECT_THAT(std::string(lines.status().message()),
              AllOf(HasSubstr("line 2: the same address 2001:DB8:0::/48 is in line 1"),
                    HasSubstr("line 4: the same address 203.0.113.7/32 is in line 3"),
                    HasSubstr("line 5: the same address ::ffff:203.0.113.7 is in line 3"), Not(HasSubstr("line 6")),
                    Not(HasSubstr("line 7"))));
}

TEST(AccessFileTest, WhatIsPrintedIsReadAgainAsItWas) {
  const auto before = LinesOf(
      "deny,user,bob,2027-02-01T00:00:00.123456Z,\"stolen \"\"cards\"\", twice\"\n"
      "allow,address,203.0.113.0/24\n"
      "deny,address,2001:db8::/48,2027-02-01T00:00:00Z\n"
      "deny,user,\"a,b\",,\"# 1\"\n"
      "deny,user,\" carol \",,\" twice \"\n"
      "allow,user,\"\"\"dave\"\"\"\n"
      "deny,user,erin \"e\" e.,,ein Fehler\n"
      "deny,user,verdict\n");
  ASSERT_TRUE(before.ok()) << before.status();
  ASSERT_EQ(before->size(), 8u);
  EXPECT_EQ((*before)[4].entry.user_id(), " carol ");
  std::string text = AccessLineHeader() + "\n";
  for (const AccessLine& line : *before) text += FormatAccessLine(line.entry) + "\n";
  const auto after = LinesOf(text);
  ASSERT_TRUE(after.ok()) << after.status() << " in\n" << text;
  ASSERT_EQ(after->size(), before->size());
  for (size_t i = 0; i < before->size(); ++i) {
    EXPECT_EQ((*after)[i].entry.DebugString(), (*before)[i].entry.DebugString());
  }
  EXPECT_EQ(FormatAccessLine((*before)[1].entry), "allow,address,203.0.113.0/24,,")
      << "no quotes where none are needed";
}

TEST(AccessFileTest, IsSentInPartsThatANodeTakes) {
  std::string text;
  for (int i = 0; i < 1'500; ++i) absl::StrAppend(&text, "deny,user,u", i, "\n");
  const auto small = LinesOf(text);
  ASSERT_TRUE(small.ok()) << small.status();
  EXPECT_EQ(EndOfPart(*small, 0), 1'000u);
  EXPECT_EQ(EndOfPart(*small, 1'000), 1'500u);

  text.clear();
  const std::string uuid = "6f1c2f0e-9a4b-4c57-8d3e-0123456";
  for (int i = 0; i < 1'000; ++i) {
    absl::StrAppend(&text, "deny,user,", uuid, 10'000 + i, ",,", std::string(100, 'r'), "\n");
  }
  const auto large = LinesOf(text);
  ASSERT_TRUE(large.ok()) << large.status();
  int parts = 0;
  for (size_t begin = 0; begin < large->size(); ++parts) {
    const size_t end = EndOfPart(*large, begin);
    ASSERT_GT(end, begin);
    tranche::v1::AddAccessEntriesRequest request;
    for (size_t i = begin; i < end; ++i) *request.add_entries() = (*large)[i].entry;
    EXPECT_LE(request.ByteSizeLong(), 33u * 1024);
    begin = end;
  }
  EXPECT_GE(parts, 4);
  EXPECT_LE(parts, 6) << "each is about as large as it may be";
}

TEST(AccessFileTest, TakesAsManyAsTheClusterKeeps) {
  std::string text;
  for (size_t i = 0; i < kMostAccessLines; ++i) absl::StrAppend(&text, "deny,user,u", i, "\n");
  const auto most = LinesOf(text);
  ASSERT_TRUE(most.ok()) << most.status();
  EXPECT_EQ(most->size(), kMostAccessLines);
  EXPECT_THAT(LinesOf(text + "deny,user,one-more\n").status().message(), HasSubstr("more than 200000"));
}

// What is printed in this format.
struct DoorOutput {
  std::string out;
  std::string err;
  size_t width = 0;
};
template <typename PrintIt>
DoorOutput DoorPrints(const std::string& format, PrintIt print) {
  std::ostringstream out, err;
  Session session(out, err);
  session.output = format;
  print(session);
  DoorOutput printed{out.str(), err.str()};
  std::istringstream lines(printed.out);
  for (std::string line; std::getline(lines, line);) printed.width = std::max(printed.width, line.size());
  return printed;
}

tranche::v1::StoredFrontPolicy Stored(const std::string& sku_id, const PolicyFlags& flags, int64_t version) {
  tranche::v1::StoredFrontPolicy stored;
  stored.set_sku_id(sku_id);
  *stored.mutable_policy() = PolicyOf(flags);
  stored.set_version(version);
  stored.mutable_change_time()->set_seconds(1'800'000'000);
  stored.set_changed_by("alice@laptop");
  if (stored.policy().has_lottery()) stored.mutable_round()->set_round(3);
  return stored;
}

PolicyFlags UsualFlags() {
  PolicyFlags flags;
  flags.limits = {"user=5/1s,burst=3", "address=50/1s,wait=2s"};
  flags.lottery = "10%";
  flags.token = "2m";
  flags.challenge = "12";
  return flags;
}

TEST(DoorViewTest, PoliciesFitATerminalAndWideTellsAll) {
  tranche::v1::ListFrontPoliciesResponse policies;
  *policies.add_policies() = Stored("tv-55-oled", UsualFlags(), 12);
  const auto print = [&](Session& session) { PrintPolicies(session, policies); };
  const DoorOutput narrow = DoorPrints("table", print);
  EXPECT_LE(narrow.width, 80u) << narrow.out;
  EXPECT_THAT(narrow.out, ContainsRegex("tv-55-oled +user=5/1s,address=50/1s +10% +2m +12 bits +12\n"));
  EXPECT_THAT(DoorPrints("wide", print).out,
              AllOf(HasSubstr("user=5/1s,burst=3 address=50/1s,wait=2s"), HasSubstr("alice@laptop")));
  const auto json = nlohmann::json::parse(DoorPrints("json", print).out);
  EXPECT_EQ(json["policies"][0]["policy"]["limits"][0]["key"], "KEY_USER");
}

TEST(DoorViewTest, AnUnreadablePolicyIsNotShownAsAnOpenDoor) {
  tranche::v1::ListFrontPoliciesResponse policies;
  tranche::v1::StoredFrontPolicy& stored = *policies.add_policies();
  stored.set_sku_id("tv");
  stored.set_unreadable("it has a field \"room\"");
  const DoorOutput printed = DoorPrints("table", [&](Session& session) { PrintPolicies(session, policies); });
  EXPECT_THAT(printed.out, AllOf(HasSubstr("UNREADABLE"), Not(HasSubstr("none"))));
  EXPECT_THAT(printed.err, HasSubstr("it has a field \"room\""));
}

TEST(DoorViewTest, AChangeShowsOnlyWhatDiffers) {
  tranche::v1::SetFrontPolicyResponse change;
  *change.mutable_before() = Stored("tv", UsualFlags(), 12);
  PolicyFlags flags = UsualFlags();
  flags.limits[0] = "user=9/1s";
  flags.lottery = "20%";
  *change.mutable_policy() = Stored("tv", flags, 13);
  change.mutable_policy()->mutable_round()->set_round(4);
  change.add_warnings("no SKU has this id");
  const DoorOutput preview = DoorPrints("table", [&](Session& s) { PrintPolicyChange(s, "tv", change, true); });
  EXPECT_THAT(preview.out, AllOf(ContainsRegex("limit user +5/1s,burst=3 -> 9/1s, burst 9 .default"),
                                 ContainsRegex("lottery +10% -> 20%"), ContainsRegex("round +3 -> 4"),
                                 Not(HasSubstr("limit address")), Not(HasSubstr("token"))));
  EXPECT_THAT(preview.err, AllOf(HasSubstr("--yes --expect-version 12"), HasSubstr("no SKU has this id")));
  const DoorOutput done = DoorPrints("table", [&](Session& s) { PrintPolicyChange(s, "tv", change, false); });
  EXPECT_THAT(done.err, Not(HasSubstr("--yes")));

  change.clear_policy();
  EXPECT_THAT(DoorPrints("table", [&](Session& s) { PrintPolicyChange(s, "tv", change, true); }).out,
              AllOf(ContainsRegex("policy +set -> none"), ContainsRegex("token +2m -> none")));
  const auto json =
      nlohmann::json::parse(DoorPrints("json", [&](Session& s) { PrintPolicyChange(s, "tv", change, true); }).out);
  EXPECT_EQ(json["before"]["version"], "12");
  EXPECT_TRUE(json["after"].is_null());
  EXPECT_EQ(json["warnings"][0], "no SKU has this id");

  *change.mutable_policy() = change.before();
  EXPECT_THAT(DoorPrints("table", [&](Session& s) { PrintPolicyChange(s, "tv", change, true); }).err,
              HasSubstr("nothing would change"));
}

TEST(DoorViewTest, ADrawIsShownInThePlaceOfALottery) {
  PolicyFlags flags;
  flags.draw = true;
  tranche::v1::ListFrontPoliciesResponse policies;
  *policies.add_policies() = Stored("sneaker", flags, 3);
  EXPECT_THAT(DoorPrints("table", [&](Session& s) { PrintPolicies(s, policies); }).out,
              ContainsRegex("sneaker +none +a draw +none"));
  EXPECT_THAT(DoorPrints("table", [&](Session& s) { PrintPolicy(s, policies.policies(0)); }).out,
              ContainsRegex("draw +decides"));
}

TEST(DoorViewTest, TheFirstPolicyIsExpectedWhereThereIsNone) {
  tranche::v1::SetFrontPolicyResponse change;
  *change.mutable_policy() = Stored("tv", PolicyFlags(), 1);
  const DoorOutput preview = DoorPrints("table", [&](Session& s) { PrintPolicyChange(s, "tv", change, true); });
  EXPECT_THAT(preview.out, ContainsRegex("policy +none -> set"));
  EXPECT_THAT(preview.err, HasSubstr("--expect-version 0"));
}

TEST(DoorViewTest, KeysAreShownByTheirUse) {
  tranche::v1::ListFrontKeysResponse before;
  tranche::v1::RotateFrontKeyResponse after;
  const auto add = [](auto& keys, int64_t id, tranche::v1::FrontKey::Use use) {
    tranche::v1::FrontKey& key = *keys.add_keys();
    key.set_key_id(id);
    key.set_use(use);
  };
  add(before, 1, tranche::v1::FrontKey::USE_PREVIOUS);
  add(before, 2, tranche::v1::FrontKey::USE_CURRENT);
  add(before, 3, tranche::v1::FrontKey::USE_NEXT);
  add(after, 2, tranche::v1::FrontKey::USE_PREVIOUS);
  add(after, 3, tranche::v1::FrontKey::USE_CURRENT);
  add(after, 4, tranche::v1::FrontKey::USE_NEXT);
  after.set_rotated(true);
  const auto print = [&](Session& s) { PrintKeyRotation(s, before, after, /*preview=*/true); };
  EXPECT_THAT(DoorPrints("table", print).out,
              AllOf(ContainsRegex("1 +previous -> gone"), ContainsRegex("2 +current -> previous"),
                    ContainsRegex("3 +next -> current"), ContainsRegex("4 +new -> next")));
  EXPECT_EQ(nlohmann::json::parse(DoorPrints("json", print).out)["rotated"], true);
}

TEST(DoorViewTest, AnAdmissionIsRefusedByOneCheck) {
  tranche::v1::ExplainAdmissionResponse opinion;
  opinion.set_policy_sku_id("*");
  opinion.set_policy_version(7);
  opinion.set_node("node-1");
  opinion.mutable_door_age()->set_nanos(200'000'000);
  tranche::v1::AdmissionCheck* check = opinion.add_checks();
  check->set_check("limit_user");
  check->set_verdict(tranche::v1::AdmissionCheck::VERDICT_WAIT);
  EXPECT_TRUE(LetsIn(opinion)) << "who waits a moment is let in";
  check = opinion.add_checks();
  check->set_check("lottery");
  check->set_verdict(tranche::v1::AdmissionCheck::VERDICT_REFUSE);
  check->set_reason("NOT_ADMITTED");
  check->set_detail("rank 0.52, admitted below 0.1");
  EXPECT_FALSE(LetsIn(opinion));
  const DoorOutput printed = DoorPrints("table", [&](Session& session) { PrintAdmission(session, opinion); });
  EXPECT_THAT(printed.out,
              AllOf(HasSubstr("policy of *, version 7"), HasSubstr("node-1"), HasSubstr("0.2s"),
                    ContainsRegex("limit_user +waits"), ContainsRegex("lottery +REFUSES +NOT_ADMITTED +rank 0.52")));
}

TEST(DoorViewTest, ATokenThatWasNotGivenIsNoRefusal) {
  tranche::v1::ExplainAdmissionResponse opinion;
  tranche::v1::AdmissionCheck* const token = opinion.add_checks();
  token->set_check("purchase_token");
  token->set_verdict(tranche::v1::AdmissionCheck::VERDICT_REFUSE);
  token->set_reason("PURCHASE_TOKEN_REQUIRED");
  token->set_detail("none was given");
  EXPECT_TRUE(LetsIn(opinion));
  EXPECT_TRUE(WantsToken(opinion));
  const auto print = [&](Session& session) { PrintAdmission(session, opinion); };
  EXPECT_THAT(DoorPrints("table", print).out, AllOf(ContainsRegex("purchase_token +not given +- +would be asked for"),
                                                    Not(HasSubstr("REFUSES")), Not(HasSubstr("REQUIRED"))));
  const auto json = nlohmann::json::parse(DoorPrints("json", print).out);
  EXPECT_EQ(json["checks"][0]["reason"], "PURCHASE_TOKEN_REQUIRED") << "the answer as it is";

  tranche::v1::AdmissionCheck* const limit = opinion.add_checks();
  limit->set_check("limit_sku");
  limit->set_verdict(tranche::v1::AdmissionCheck::VERDICT_REFUSE);
  limit->set_reason("RATE_LIMITED");
  EXPECT_FALSE(LetsIn(opinion)) << "something else refuses";
  opinion.mutable_checks()->RemoveLast();
  token->set_reason("PURCHASE_TOKEN_INVALID");
  EXPECT_FALSE(LetsIn(opinion)) << "a bad one is a refusal";
  EXPECT_FALSE(WantsToken(opinion));
}

TEST(DoorViewTest, EntriesArePrintedAsLinesOfAFile) {
  tranche::v1::ListAccessEntriesResponse entries;
  AccessEntry* entry = entries.add_entries();
  entry->set_verdict(AccessEntry::VERDICT_DENY);
  entry->set_user_id("bob");
  entry->set_reason("stolen cards, twice");
  entry = entries.add_entries();  // of a newer version
  entry->set_user_id("carol");
  const DoorOutput printed = DoorPrints("csv", [&](Session& session) { PrintAccessEntries(session, entries); });
  EXPECT_EQ(printed.out, "verdict,kind,value,expires,reason\ndeny,user,bob,,\"stolen cards, twice\"\n");
  EXPECT_THAT(printed.err, HasSubstr("does not know 1 of them"));
}

TEST(DoorViewTest, EntriesFitATerminal) {
  tranche::v1::ListAccessEntriesResponse entries;
  AccessEntry* entry = entries.add_entries();
  entry->set_verdict(AccessEntry::VERDICT_DENY);
  entry->set_user_id("customer-10017");
  entry->mutable_expire_time()->set_seconds(1'800'000'000);
  entry->set_reason("stolen cards");
  entry = entries.add_entries();
  entry->set_verdict(AccessEntry::VERDICT_ALLOW);
  entry->set_address("203.0.113.0/24");
  const DoorOutput printed = DoorPrints("table", [&](Session& session) { PrintAccessEntries(session, entries); });
  EXPECT_LE(printed.width, 80u) << printed.out;
  EXPECT_THAT(printed.out, AllOf(ContainsRegex("deny +user +customer-10017 +2027-01-15T08:00:00Z +stolen cards"),
                                 ContainsRegex("allow +address +203.0.113.0/24 +never")));
}

TEST(DoorHintsTest, SayWhatToDo) {
  const auto hint = [](const std::string& reason) {
    absl::Status status = absl::FailedPreconditionError("refused");
    internal::SetReason(status, reason);
    return NextStepFor(status, /*changed_nothing=*/true);
  };
  EXPECT_THAT(hint("POLICY_CHANGED"), HasSubstr("preview again"));
  EXPECT_THAT(hint("LOTTERY_CANNOT_SHRINK"), HasSubstr("--new-round"));
  EXPECT_THAT(hint("KEY_ROTATED_RECENTLY"), HasSubstr("--replace-all"));
  EXPECT_THAT(hint("ACCESS_LIST_FULL"), HasSubstr("door list remove"));
  EXPECT_THAT(hint("DENIED"), HasSubstr("door list"));
  for (const char* reason : {"RATE_LIMITED", "NOT_ADMITTED", "PURCHASE_TOKEN_REQUIRED", "PURCHASE_TOKEN_INVALID"}) {
    EXPECT_THAT(hint(reason), HasSubstr("door test")) << reason;
  }
}

}  // namespace
}  // namespace tranche::ctl
