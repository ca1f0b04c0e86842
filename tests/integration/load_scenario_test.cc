// tranche-load with scenarios, as processes, against a cluster with a front door.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "tests/integration/front_door_fixture.h"
#include "tests/support/between_looks.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/server_process.h"

namespace tranche::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr absl::Duration kLoadPatience = absl::Seconds(120);
constexpr char kScenarioSku[] = "tv";

// Visitors come evenly spaced, so their numbers are known.
constexpr char kThroughTheDoor[] = R"(
name: through the door
skus: [tv]
arrivals: uniform
call_timeout: 20s
phases:
  - {ramp_to: 20, within: 0s}
  - {hold: 3s}
visitors:
  buyer:
    weight: 3
    steps:
      - look
      - enter: {within: 60s}
      - think: {exponential: 50ms, at_most: 500ms}
      - claim
      - pay
      - watch: {at_most: 20s}
  forger:
    weight: 1
    steps:
      - claim: {token: invented, tries: 3}
)";

// Long enough that a generator can be struck in the middle.
constexpr char kLong[] = R"(
name: a long one
skus: [tv]
arrivals: uniform
call_timeout: 20s
phases:
  - {ramp_to: 20, within: 0s}
  - {hold: 8s}
visitors:
  buyer:
    steps:
      - claim
)";

// The outcomes of a step that had only this one.
nlohmann::json Only(const std::string& outcome, int64_t count) {
  nlohmann::json outcomes = nlohmann::json::object();
  outcomes[outcome] = count;
  return outcomes;
}

class LoadScenarioTest : public FrontDoorFixture {
 protected:
  struct Ended {
    int exit_status = -1;
    std::string printed;
    nlohmann::json result;
  };

  std::string Endpoints() const { return absl::StrJoin(cluster_->endpoints(), ","); }

  std::string Write(const std::string& text) {
    const std::string path = scratch_.path() / "scenario.yaml";
    std::ofstream(path) << text;
    return path;
  }

  std::unique_ptr<ServerProcess> Start(const std::string& name, const std::vector<std::string>& arguments) {
    return ServerProcess::Start(name, "tranche-load", arguments, scratch_.path()).value();
  }

  // A scenario with its own and more flags.
  std::unique_ptr<ServerProcess> StartScenario(const std::string& text, std::vector<std::string> more) {
    more.insert(more.end(), {"--scenario", Write(text), "--result", result_file(), "--no-progress"});
    return Start("load", more);
  }
  Ended EndOf(ServerProcess& load) {
    Ended ended;
    ended.exit_status = load.process().Wait(kLoadPatience).value_or(-1);
    ended.printed = FileContents(load.log_file());
    ended.result = nlohmann::json::parse(FileContents(result_file()), nullptr, /*allow_exceptions=*/false);
    return ended;
  }

  // A generator for the cluster, and where it is.
  struct Generator {
    std::unique_ptr<ServerProcess> process;
    std::string address;
  };
  Generator StartGenerator(const std::string& name) {
    const std::string port_file = scratch_.path() / (name + ".port");
    Generator generator;
    generator.process = Start(name, {"--endpoints", Endpoints(), "--serve", "127.0.0.1:0", "--port-file", port_file});
    generator.address = absl::StrCat("127.0.0.1:", generator.process->WaitForPort(port_file, kLoadPatience).value());
    return generator;
  }

  // The outcomes of a step; null if nobody took it.
  static nlohmann::json OutcomesOf(const nlohmann::json& result, const std::string& kind, const std::string& name) {
    for (const nlohmann::json& step : result["steps"]) {
      if (step["kind"] == kind && step["step"] == name) return step["outcomes"];
    }
    return nullptr;
  }

  void AwaitClaimsBeyond(size_t rows) {
    const absl::Time give_up = absl::Now() + kLoadPatience;
    while (RowsOf(kScenarioSku).size() <= rows && absl::Now() < give_up) RestBetweenLooks();
    EXPECT_GT(RowsOf(kScenarioSku).size(), rows);
  }

  std::string result_file() const { return scratch_.path() / "result.json"; }

  const ScratchDir scratch_{"load-scenario"};
};

TEST_F(LoadScenarioTest, BuyersGoTheWholeWayAndForgersDoNot) {
  v1::FrontPolicy policy = TokenPolicy();
  policy.mutable_challenge()->set_bits(6);
  SetPolicy(policy);
  const size_t rows = RowsOf(kScenarioSku).size();
  const auto load = StartScenario(kThroughTheDoor, {"--endpoints", Endpoints()});
  const Ended ended = EndOf(*load);
  ASSERT_EQ(ended.exit_status, 0) << ended.printed;
  const nlohmann::json& result = ended.result;
  EXPECT_EQ(result["complete"], true);
  EXPECT_EQ(result["totals"]["arrivals"], 60);
  EXPECT_EQ(result["totals"]["ended"], 60);
  EXPECT_EQ(result["totals"]["not_begun"], 0);

  const auto buyers = OutcomesOf(result, "buyer", "visit").value("DONE", int64_t{0});
  EXPECT_GT(buyers, 0);
  EXPECT_EQ(OutcomesOf(result, "buyer", "visit"), Only("DONE", buyers)) << ended.printed;
  EXPECT_EQ(OutcomesOf(result, "buyer", "look"), Only("OK", buyers));
  EXPECT_EQ(OutcomesOf(result, "buyer", "enter"), Only("ADMITTED", buyers));
  EXPECT_EQ(OutcomesOf(result, "buyer", "enter, solve"), Only("SOLVED", buyers));
  EXPECT_EQ(OutcomesOf(result, "buyer", "claim"), Only("SOLD", buyers));
  EXPECT_EQ(OutcomesOf(result, "buyer", "pay"), Only("CONFIRMED", buyers));
  EXPECT_EQ(OutcomesOf(result, "buyer", "watch"), Only("CONFIRMED", buyers));
  EXPECT_EQ(OutcomesOf(result, "forger", "claim"), Only("PURCHASE_TOKEN_INVALID", 3 * (60 - buyers)));
  // The ledger says the same.
  EXPECT_EQ(RowsOf(kScenarioSku).size() - rows, static_cast<size_t>(buyers));
}

TEST_F(LoadScenarioTest, TwoGeneratorsAreOneLoad) {
  const size_t rows = RowsOf(kScenarioSku).size();
  Generator first = StartGenerator("first");
  Generator second = StartGenerator("second");
  const auto load = StartScenario(kThroughTheDoor, {"--generators", absl::StrCat(first.address, ",", second.address)});
  const Ended ended = EndOf(*load);
  ASSERT_EQ(ended.exit_status, 0) << ended.printed;
  EXPECT_EQ(ended.result["complete"], true);
  EXPECT_EQ(ended.result["totals"]["arrivals"], 60) << "the plan of one generator";
  ASSERT_EQ(ended.result["generators"].size(), 2u);
  EXPECT_LT(ended.result["generators"][1]["clock_error_ms"].get<double>(), 1000);
  // Without a door every token is good.
  EXPECT_EQ(OutcomesOf(ended.result, "forger", "claim").value("SOLD", int64_t{0}) +
                OutcomesOf(ended.result, "buyer", "claim").value("SOLD", int64_t{0}),
            60);
  EXPECT_EQ(RowsOf(kScenarioSku).size() - rows, 60u);
  EXPECT_EQ(first.process->Terminate(kLoadPatience).value_or(-1), 0) << first.process->LogTail();
  EXPECT_EQ(second.process->Terminate(kLoadPatience).value_or(-1), 0) << second.process->LogTail();
}

TEST_F(LoadScenarioTest, AKilledGeneratorIsNamedAndTheOthersGoOn) {
  const size_t rows = RowsOf(kScenarioSku).size();
  const Generator first = StartGenerator("first");
  const Generator second = StartGenerator("second");
  const auto load = StartScenario(kLong, {"--generators", absl::StrCat(first.address, ",", second.address)});
  AwaitClaimsBeyond(rows);
  ASSERT_TRUE(second.process->Kill().ok());
  const Ended ended = EndOf(*load);
  EXPECT_EQ(ended.exit_status, 2) << ended.printed;
  EXPECT_THAT(ended.printed, AllOf(HasSubstr(second.address), HasSubstr("INCOMPLETE")));
  EXPECT_EQ(ended.result["complete"], false);
  EXPECT_EQ(ended.result["generators"][0]["failure"], "");
  EXPECT_NE(ended.result["generators"][1]["failure"], "");
  EXPECT_EQ(ended.result["totals"]["arrivals"], 80) << "the share of the other one";
  EXPECT_EQ(OutcomesOf(ended.result, "buyer", "claim"), Only("SOLD", 80));
}

TEST_F(LoadScenarioTest, ASignalEndsAllGeneratorsWithWhatThereIs) {
  const size_t rows = RowsOf(kScenarioSku).size();
  const Generator first = StartGenerator("first");
  const Generator second = StartGenerator("second");
  const auto load = StartScenario(kLong, {"--generators", absl::StrCat(first.address, ",", second.address)});
  AwaitClaimsBeyond(rows);
  ASSERT_TRUE(load->process().Signal(SIGTERM).ok());
  const Ended ended = EndOf(*load);
  EXPECT_EQ(ended.exit_status, 0) << ended.printed;
  EXPECT_EQ(ended.result["stopped"], true);
  EXPECT_EQ(ended.result["complete"], false);
  EXPECT_EQ(ended.result["totals"]["sold"], RowsOf(kScenarioSku).size() - rows);
}

TEST_F(LoadScenarioTest, WrongUsageIsNamed) {
  int calls = 0;
  const auto refuse = [&](const std::vector<std::string>& arguments, const std::string& said) {
    const auto load = Start(absl::StrCat("wrong-", ++calls), arguments);
    EXPECT_EQ(load->process().Wait(kLoadPatience).value_or(-1), 1) << said;
    EXPECT_THAT(FileContents(load->log_file()), HasSubstr(said));
  };
  const std::string good = Write(kLong);
  const std::string endpoints = Endpoints();
  refuse({"--scenario", good}, "--endpoints is required");
  refuse({"--endpoints", endpoints, "--scenario", "/no/such"}, "/no/such");
  refuse({"--endpoints", endpoints, "--scenario", good, "--rate", "5"}, "leave out --rate");
  refuse({"--endpoints", endpoints, "--result", "x", "--sku", "tv", "--requests", "1"}, "--result");
  refuse({"--scenario", good, "--generators", "nowhere"}, "\"nowhere\" is not host:port");
  refuse({"--endpoints", endpoints, "--serve", "0.0.0.0:0"}, "--serve-unprotected");
  refuse({"--endpoints", endpoints, "--scenario", Write(absl::StrCat(kLong, "oops: 1\n"))}, "scenario.yaml, line ");
}

}  // namespace
}  // namespace tranche::testing
