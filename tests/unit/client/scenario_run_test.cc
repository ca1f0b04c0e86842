// Visitors against a scripted node. Their calls are answered at once, one visitor after the other.
#include "client/load/scenario_run.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/internal/connection.h"
#include "client/load/scenario_reader.h"
#include "tests/unit/client/scripted_stub.h"

namespace tranche::load {
namespace {

using internal::NodeError;
using internal::v1::LoadResult;
using internal::v1::LoadStep;

// Beyond this a machine is not slow but stuck.
constexpr absl::Duration kRunPatience = absl::Seconds(30);

class ScenarioRunTest : public ::testing::Test {
 protected:
  ScenarioRunTest() {
    ClientOptions options;
    options.endpoints = {"n0:1"};
    options.retry.max_attempts = 1;
    std::vector<std::shared_ptr<internal::Stub>> stubs = {std::make_shared<internal::ScriptedStub>(0, script_)};
    client_ = std::make_unique<Client>(std::make_shared<internal::Connection>(
        options, std::move(stubs), std::make_shared<internal::ManualScheduler>()));
  }

  // So many visitors, a millisecond apart, who do these steps.
  static Scenario Doing(const std::string& steps, int visitors = 1, const std::string& of_the_kind = "") {
    const std::string text = absl::StrCat("name: a test\nskus: [tv]\narrivals: uniform\nphases:\n",
                                          "  - {ramp_to: 1000, within: 0s}\n  - {hold: ", 1000 * visitors + 500,
                                          "us}\n", "visitors:\n  buyer:\n", of_the_kind, "    steps:\n", steps);
    const absl::StatusOr<Scenario> scenario = ReadScenario(text);
    EXPECT_TRUE(scenario.ok()) << scenario.status() << "\n" << text;
    return scenario.ok() ? *scenario : Scenario();
  }

  LoadResult Run(const Scenario& scenario) {
    ScenarioRun run(scenario, *client_, "u", Share(), absl::Now());
    run.Run();
    return run.result();
  }

  static std::map<std::string, uint64_t> OutcomesOf(const LoadResult& result, const std::string& name) {
    for (const LoadStep& step : result.steps()) {
      if (step.step() == name) return {step.outcomes().begin(), step.outcomes().end()};
    }
    return {};
  }

  internal::Script script_;
  std::unique_ptr<Client> client_;
};

using Counted = std::map<std::string, uint64_t>;

TEST_F(ScenarioRunTest, BuysAndPaysStepByStep) {
  tranche::v1::ConfirmReservationResponse paid;
  paid.set_outcome(tranche::v1::CONFIRM_OUTCOME_CONFIRMED);
  script_.confirm.answers = {paid};
  const LoadResult result = Run(Doing("      - claim\n      - think: 5ms\n      - pay\n"));
  EXPECT_EQ(OutcomesOf(result, "claim"), (Counted{{"SOLD", 1}}));
  EXPECT_EQ(OutcomesOf(result, "pay"), (Counted{{"CONFIRMED", 1}}));
  EXPECT_EQ(OutcomesOf(result, "visit"), (Counted{{"DONE", 1}}));
  ASSERT_EQ(script_.confirm.requests.size(), 1u);
  EXPECT_EQ(script_.confirm.requests[0].reservation_id(), script_.creates[0].request.reservation_id());
  uint64_t arrivals = 0, sold = 0, ended = 0;
  for (const internal::v1::LoadSecond& second : result.seconds()) {
    arrivals += second.arrivals();
    sold += second.sold();
    ended += second.ended();
  }
  EXPECT_EQ(arrivals, 1u);
  EXPECT_EQ(sold, 1u);
  EXPECT_EQ(ended, 1u);
  EXPECT_FALSE(result.stopped());
}

TEST_F(ScenarioRunTest, TriesAgainWithAnotherIdAndLeavesThen) {
  for (int i = 0; i < 3; ++i) script_.create.push_back(internal::SoldOut());
  const LoadResult result = Run(Doing("      - claim: {tries: 3}\n      - pay\n"));
  EXPECT_EQ(OutcomesOf(result, "claim"), (Counted{{"SOLD_OUT", 3}}));
  EXPECT_EQ(OutcomesOf(result, "visit"), (Counted{{"left at claim", 1}}));
  std::set<std::string> ids;
  for (const internal::SeenCreate& create : script_.creates) ids.insert(create.request.reservation_id());
  EXPECT_EQ(ids.size(), 3u);
  EXPECT_TRUE(script_.confirm.requests.empty());
}

TEST_F(ScenarioRunTest, StopsTryingOnceItHasTheUnits) {
  script_.create.push_back(internal::SoldOut());
  const LoadResult result = Run(Doing("      - claim: {tries: 9}\n"));
  EXPECT_EQ(OutcomesOf(result, "claim"), (Counted{{"SOLD", 1}, {"SOLD_OUT", 1}}));
  EXPECT_EQ(script_.creates.size(), 2u);
}

TEST_F(ScenarioRunTest, TheTokenOfTheEntryGoesWithTheClaim) {
  tranche::v1::EnterSaleResponse entered;
  entered.set_admitted(true);
  entered.set_purchase_token("v4.local.x");
  script_.enter_sale.answers = {entered};
  const LoadResult result = Run(Doing("      - enter: {within: 0s}\n      - claim\n      - claim: {token: none}\n"));
  EXPECT_EQ(OutcomesOf(result, "enter"), (Counted{{"ADMITTED", 1}}));
  ASSERT_EQ(script_.creates.size(), 2u);
  EXPECT_EQ(script_.creates[0].request.purchase_token(), "v4.local.x");
  EXPECT_EQ(script_.creates[1].request.purchase_token(), "");
  EXPECT_EQ(OutcomesOf(result, "claim 2"), (Counted{{"SOLD", 1}}));
}

TEST_F(ScenarioRunTest, WhoDoesNotSolveLeaves) {
  tranche::v1::EnterSaleResponse asked;
  asked.set_admitted(true);
  asked.mutable_challenge()->set_altcha("{}");
  script_.enter_sale.answers = {asked, asked};
  EXPECT_EQ(OutcomesOf(Run(Doing("      - enter: {within: 0s, solve: false}\n      - claim\n")), "enter"),
            (Counted{{"CHALLENGE", 1}}));
  // And who cannot.
  const LoadResult cannot = Run(Doing("      - enter: {within: 0s}\n      - claim\n"));
  EXPECT_EQ(OutcomesOf(cannot, "enter"), (Counted{{"NOT_SOLVED", 1}}));
  EXPECT_EQ(OutcomesOf(cannot, "enter, solve"), (Counted{{"INVALID_ARGUMENT", 1}}));
  EXPECT_TRUE(script_.creates.empty());
}

TEST_F(ScenarioRunTest, InventedTokensDifferAndAccountsAreShared) {
  Run(Doing("      - claim: {token: invented}\n", 6, "    accounts: 2\n    addresses: 3\n"));
  std::set<std::string> tokens, users, addresses;
  for (const internal::SeenCreate& create : script_.creates) {
    EXPECT_TRUE(absl::StartsWith(create.request.purchase_token(), "v4.local."));
    tokens.insert(create.request.purchase_token());
    users.insert(create.request.user_id());
    addresses.insert(create.request.buyer_address());
  }
  EXPECT_EQ(tokens.size(), 6u);
  EXPECT_EQ(users.size(), 2u);
  EXPECT_EQ(addresses.size(), 3u);
}

TEST_F(ScenarioRunTest, SomeAbandonAndAllOfThemIfAsked) {
  const LoadResult all = Run(Doing("      - abandon: 1\n      - claim\n", 5));
  EXPECT_EQ(OutcomesOf(all, "visit"), (Counted{{"ABANDONED", 5}}));
  EXPECT_TRUE(script_.creates.empty());
  const LoadResult none = Run(Doing("      - abandon: 0\n      - claim\n", 5));
  EXPECT_EQ(OutcomesOf(none, "visit"), (Counted{{"DONE", 5}}));
}

TEST_F(ScenarioRunTest, LookingInVainEndsNoVisit) {
  for (int i = 0; i < 2; ++i) {
    script_.get_sku.answers.push_back(NodeError(absl::StatusCode::kNotFound, "SKU_NOT_FOUND"));
  }
  const LoadResult result = Run(Doing("      - look: {times: 2, every: 1ms}\n      - claim\n"));
  EXPECT_EQ(OutcomesOf(result, "look"), (Counted{{"SKU_NOT_FOUND", 2}}));
  EXPECT_EQ(OutcomesOf(result, "visit"), (Counted{{"DONE", 1}}));
}

// Nobody of those who are there leaves by themselves before it is stopped.
TEST_F(ScenarioRunTest, WhoFindsTooManyThereIsCountedAndStopEndsThoughts) {
  Scenario scenario = Doing("      - think: 1h\n      - claim\n", 5);
  scenario.most_under_way = 2;
  ScenarioRun run(scenario, *client_, "u", Share(), absl::Now());
  std::thread running([&] { run.Run(); });
  const absl::Time give_up = absl::Now() + kRunPatience;
  while (run.progress().arrivals() < 5 && absl::Now() < give_up) std::this_thread::yield();
  EXPECT_EQ(run.progress().not_begun(), 3u);
  run.Stop();
  running.join();
  EXPECT_EQ(OutcomesOf(run.result(), "visit"), (Counted{{"STOPPED", 2}}));
  EXPECT_TRUE(run.result().stopped());
  EXPECT_TRUE(script_.creates.empty());
}

// A visitor who was meant to come an hour ago has waited for an hour, whoever is to blame.
TEST_F(ScenarioRunTest, LatencyCountsFromThePlannedArrival) {
  const Scenario scenario = Doing("      - claim\n      - claim\n");
  ScenarioRun run(scenario, *client_, "u", Share(), absl::Now() - absl::Hours(1));
  run.Run();
  const LoadResult result = run.result();
  constexpr uint64_t kHourUs = 3'600'000'000;
  const auto slowest = [&](const std::string& name) {
    for (const LoadStep& step : result.steps()) {
      if (step.step() == name) return step.accepted().max_us();
    }
    return uint64_t{0};
  };
  EXPECT_GE(slowest("claim"), kHourUs - 1'000'000);
  EXPECT_GE(slowest("visit"), kHourUs - 1'000'000);
  EXPECT_LT(slowest("claim 2"), kHourUs / 2) << "it was meant to begin when the one before had ended";
  EXPECT_GE(result.lag().max_us(), kHourUs - 1'000'000);
}

TEST_F(ScenarioRunTest, AGeneratorLetsInItsShareOnly) {
  Scenario scenario = Doing("      - claim\n", 10);
  ScenarioRun run(scenario, *client_, "u", {.share = 1, .shares = 2}, absl::Now());
  run.Run();
  EXPECT_EQ(run.progress().arrivals(), 5u);
  EXPECT_EQ(script_.creates.size(), 5u);
}

}  // namespace
}  // namespace tranche::load
