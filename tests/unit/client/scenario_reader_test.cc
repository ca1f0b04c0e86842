#include "client/load/scenario_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "tests/support/scratch_dir.h"

namespace tranche::load {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kSale[] = R"(name: a sale
seed: 42
arrivals: uniform
skus: [tv, phone]
call_timeout: 3s
most_under_way: 17
phases:
  - {name: spike, ramp_to: 100, within: 1s}
  - {hold: 10s}
  - {fade_to: 10, within: 20s}
visitors:
  buyer:
    weight: 9
    steps:
      - enter: {within: 20s}
      - think: {lognormal: 2s, sigma: 0.5, at_least: 100ms, at_most: 10s}
      - claim: {units: 2, queued: true, within: 30s}
      - abandon: 0.25
      - think: 1s
      - pay
      - watch: {at_most: 3s}
  bot:
    accounts: 5
    addresses: 3
    steps:
      - enter: {within: 0s, solve: false}
      - claim: {tries: 20, every: 5ms, token: invented}
      - claim
      - cancel:
)";

Scenario Read(const std::string& text) {
  const absl::StatusOr<Scenario> scenario = ReadScenario(text);
  EXPECT_TRUE(scenario.ok()) << scenario.status();
  return scenario.ok() ? *scenario : Scenario();
}

// With one part of the sale replaced.
std::string WrongWith(const std::string& part, const std::string& other) {
  const std::string text = absl::StrReplaceAll(kSale, {{part, other}});
  EXPECT_NE(text, kSale) << part;
  const absl::StatusOr<Scenario> scenario = ReadScenario(text);
  EXPECT_FALSE(scenario.ok()) << other;
  return std::string(scenario.status().message());
}

TEST(ScenarioReaderTest, ReadsWhoComesWhen) {
  const Scenario sale = Read(kSale);
  EXPECT_EQ(sale.name, "a sale");
  EXPECT_EQ(sale.seed, 42u);
  EXPECT_FALSE(sale.poisson);
  EXPECT_THAT(sale.skus, ElementsAre("tv", "phone"));
  EXPECT_EQ(sale.call_timeout, absl::Seconds(3));
  EXPECT_EQ(sale.most_under_way, 17);
  ASSERT_EQ(sale.phases.size(), 3u);
  EXPECT_EQ(sale.phases[0].shape, Phase::Shape::kRamp);
  EXPECT_EQ(sale.phases[0].name, "spike");
  EXPECT_EQ(sale.phases[1].from, 100);
  EXPECT_EQ(sale.phases[1].to, 100);
  EXPECT_EQ(sale.phases[2].shape, Phase::Shape::kFade);
  EXPECT_EQ(sale.phases[2].to, 10);
  EXPECT_EQ(LengthOf(sale), absl::Seconds(31));
}

TEST(ScenarioReaderTest, ReadsWhatTheyDo) {
  const Scenario sale = Read(kSale);
  ASSERT_EQ(sale.visitors.size(), 2u);
  const VisitorKind& buyer = sale.visitors[0];
  EXPECT_EQ(buyer.weight, 9);
  EXPECT_EQ(buyer.accounts, 0);
  EXPECT_THAT(StepNames(buyer), ElementsAre("enter", "think", "claim", "abandon", "think 2", "pay", "watch"));
  const Pause& pause = std::get<ThinkStep>(buyer.steps[1]).pause;
  EXPECT_EQ(pause.law, Pause::Law::kLognormal);
  EXPECT_EQ(pause.middle, absl::Seconds(2));
  EXPECT_EQ(pause.at_least, absl::Milliseconds(100));
  EXPECT_EQ(pause.at_most, absl::Seconds(10));
  const ClaimStep& claim = std::get<ClaimStep>(buyer.steps[2]);
  EXPECT_EQ(claim.units, 2);
  EXPECT_TRUE(claim.queued);
  EXPECT_EQ(claim.within, absl::Seconds(30));
  EXPECT_EQ(std::get<AbandonStep>(buyer.steps[3]).probability, 0.25);
  EXPECT_EQ(std::get<ThinkStep>(buyer.steps[4]).pause.middle, absl::Seconds(1));
  EXPECT_EQ(std::get<WatchStep>(buyer.steps[6]).at_most, absl::Seconds(3));
  const VisitorKind& bot = sale.visitors[1];
  EXPECT_EQ(bot.weight, 1);
  EXPECT_EQ(bot.accounts, 5);
  EXPECT_EQ(bot.addresses, 3);
  EXPECT_FALSE(std::get<EnterStep>(bot.steps[0]).solve);
  EXPECT_EQ(std::get<ClaimStep>(bot.steps[1]).tries, 20);
  EXPECT_EQ(std::get<ClaimStep>(bot.steps[1]).token, TokenUse::kInvented);
  EXPECT_EQ(std::get<ClaimStep>(bot.steps[2]).token, TokenUse::kEntered);
  EXPECT_TRUE(std::holds_alternative<CancelStep>(bot.steps[3]));
}

TEST(ScenarioReaderTest, AWrongWordIsNamedWithItsLineAndWhatWasMeant) {
  EXPECT_EQ(WrongWith("call_timeout:", "call_timout:"),
            "line 5: a scenario has no \"call_timout\"; did you mean \"call_timeout\"?");
  EXPECT_EQ(WrongWith("ramp_to", "rampto"), "line 8: a phase has no \"rampto\"; did you mean \"ramp_to\"?");
  EXPECT_EQ(WrongWith("- pay", "- pya"), "line 20: a step has no \"pya\"; did you mean \"pay\"?");
  EXPECT_EQ(WrongWith("accounts", "acounts"), "line 23: bot has no \"acounts\"; did you mean \"accounts\"?");
  EXPECT_EQ(WrongWith("invented", "envented"), "line 27: token has no \"envented\"; did you mean \"invented\"?");
  EXPECT_THAT(WrongWith("arrivals: uniform", "arrivals: seldom"),
              HasSubstr("line 3: arrivals has no \"seldom\"; there are: "));
}

TEST(ScenarioReaderTest, AWrongValueIsNamedWithItsLine) {
  const std::map<std::string, std::pair<std::string, std::string>> wrong = {
      {"seed: 42", {"seed: -1", "line 2: seed: \"-1\" is not a whole number"}},
      {"call_timeout: 3s", {"call_timeout: soon", "line 5: call_timeout: \"soon\" is not a time"}},
      {"most_under_way: 17", {"most_under_way: 1e9", "line 6: most_under_way"}},
      {"skus: [tv, phone]", {"skus: []", "line 4: skus must be a list"}},
      {"ramp_to: 100", {"ramp_to: 1000001", "line 8: ramp_to"}},
      {"{hold: 10s}", {"{hold: 10s, within: 1s}", "line 9: "}},
      {"{fade_to: 10, within: 20s}", {"{fade_to: 0, within: 20s}", "line 10: fade_to"}},
      {"weight: 9", {"weight: nan", "line 13: weight: \"nan\" is not a number"}},
      {"abandon: 0.25", {"abandon: 1.5", "line 18: abandon"}},
      {"think: 1s", {"think: -1s", "line 19: think"}},
      {", at_most: 10s", {"", "line 16: think needs \"at_most\""}},
      {"tries: 20", {"tries: 1001", "line 27: tries"}},
      {"queued: true, within", {"within", "line 17: claim: \"within\" is for"}},
      {"cancel:", {"cancel: 3", "line 29: cancel takes no value"}},
  };
  for (const auto& [part, other] : wrong) {
    EXPECT_THAT(WrongWith(part, other.first), StartsWith(other.second));
  }
}

TEST(ScenarioReaderTest, WhatDoesNotFitTogetherIsRefused) {
  EXPECT_THAT(WrongWith("  - {name: spike, ramp_to: 100, within: 1s}\n", ""), HasSubstr("ramp to one first"));
  EXPECT_THAT(WrongWith("      - claim: {units: 2, queued: true, within: 30s}\n", ""),
              HasSubstr("pay needs a claim before it"));
  EXPECT_THAT(WrongWith("  bot:", "  buyer:"), HasSubstr("two kinds \"buyer\""));
  EXPECT_THAT(WrongWith("seed: 42", "name: another"), HasSubstr("has \"name\" twice"));
  EXPECT_THAT(WrongWith("name: a sale\n", ""), HasSubstr("needs \"name\""));
  EXPECT_THAT(WrongWith("{hold: 10s}", "{hold: 24h}"), HasSubstr("more than 24h"));
}

TEST(ScenarioReaderTest, NoTextMakesItFailOtherwise) {
  for (const std::string& text :
       {std::string(), std::string("x"), std::string("[1, 2"), std::string("name: *nothing"), std::string("- - -"),
        std::string("&a [*a]"), std::string("? [a]\n: b"), std::string("name: \xff\xfe"), std::string(60'000, '['),
        std::string(kMostScenarioBytes + 1, ' ')}) {
    EXPECT_EQ(ReadScenario(text).status().code(), absl::StatusCode::kInvalidArgument) << text.substr(0, 20);
  }
}

TEST(ScenarioReaderTest, AFileThatCannotBeReadIsNamed) {
  EXPECT_THAT(std::string(ReadScenarioFile("/no/such").status().message()), HasSubstr("/no/such"));
  EXPECT_FALSE(ReadScenarioFile("/").ok());
}

// Those that are installed.
TEST(ScenarioReaderTest, TheExamplesAreScenarios) {
  int read = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TRANCHE_SCENARIOS)) {
    const absl::StatusOr<std::string> text = ReadScenarioFile(entry.path());
    ASSERT_TRUE(text.ok()) << text.status();
    EXPECT_TRUE(ReadScenario(*text).ok()) << entry.path() << ": " << ReadScenario(*text).status();
    ++read;
  }
  EXPECT_GE(read, 3);
}

// Each block of YAML there is a whole scenario.
TEST(ScenarioReaderTest, ThePagesExamplesAreScenarios) {
  const std::string page = testing::FileContents(TRANCHE_LOAD_PAGE);
  const std::vector<std::string> parts = absl::StrSplit(page, "```yaml\n");
  ASSERT_GE(parts.size(), 2u);
  for (size_t i = 1; i < parts.size(); ++i) {
    const std::string text = parts[i].substr(0, parts[i].find("```"));
    EXPECT_TRUE(ReadScenario(text).ok()) << ReadScenario(text).status() << "\n" << text;
  }
}

}  // namespace
}  // namespace tranche::load
