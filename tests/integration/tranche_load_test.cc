// tranche-load as a process.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "tests/integration/fake_front_node.h"
#include "tests/integration/tls_door.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/server_process.h"

namespace tranche {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

struct LoadRun {
  int exit_status = -1;
  std::string printed;
};

// To its end.
LoadRun RunLoad(const std::vector<std::string>& arguments) {
  const testing::ScratchDir scratch("load");
  const auto load = testing::ServerProcess::Start("load", "tranche-load", arguments, scratch.path());
  if (!load.ok()) return {-1, load.status().ToString()};
  const auto status = (*load)->process().Wait(absl::Seconds(60));
  return {status.value_or(-1), testing::FileContents((*load)->log_file())};
}

// With what is required.
LoadRun RunLoadAt(const std::string& endpoints, std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--endpoints", endpoints, "--sku", "tv"});
  return RunLoad(arguments);
}

TEST(TrancheLoadTest, AWrongFlagIsNamedAndNothingIsSent) {
  FakeFrontNode node;
  const std::map<std::string, std::vector<std::string>> wrong = {
      {"--requests", {"-1", "0x10", "1e3", "1000000000001"}},
      {"--rate", {"-1", "1e3", "1000001"}},
      {"--quantity", {"0", "-1", "2.5"}},
      {"--in-flight", {"0"}},
      {"--timeout-ms", {"0"}},
      {"--channels", {"65"}},
      {"--streams", {"-1"}},
      {"--change-rate", {"0", "1000001"}},
      {"--change-timeout-ms", {"5"}},  // without --change-rate
      {"--decide-within", {"30s"}},    // without --accept-queued
      {"--duration", {"soon", "-5s"}},
  };
  for (const auto& [flag, values] : wrong) {
    for (const std::string& value : values) {
      std::vector<std::string> arguments = {flag, value};
      if (flag != "--requests") arguments.insert(arguments.end(), {"--requests", "1"});
      const LoadRun run = RunLoadAt(node.address(), arguments);
      EXPECT_EQ(run.exit_status, 1) << flag << " " << value << ": " << run.printed;
      EXPECT_THAT(run.printed, AllOf(HasSubstr(flag), Not(ContainsRegex("[0-9]{20}")))) << flag << " " << value;
    }
  }
  const LoadRun endless = RunLoadAt(node.address(), {});
  EXPECT_EQ(endless.exit_status, 1);
  EXPECT_THAT(endless.printed, HasSubstr("give --requests or --duration"));
  EXPECT_EQ(node.unary_calls() + node.streams(), 0);
}

TEST(TrancheLoadTest, NumbersAreDecimal) {
  FakeFrontNode node;
  std::atomic<bool> octal = false;
  node.on_create = [&](const tranche::v1::CreateReservationRequest& request) {
    if (request.quantity() != 10) octal = true;
  };
  const LoadRun run = RunLoadAt(node.address(), {"--requests", "020", "--quantity", "010", "--timeout-ms", "060000"});
  EXPECT_EQ(run.exit_status, 0) << run.printed;
  EXPECT_THAT(run.printed, ContainsRegex("tv +20 +20 "));
  EXPECT_FALSE(octal) << "010 is ten";
}

TEST(TrancheLoadTest, StreamsCarryManyRequestsInAMessage) {
  FakeFrontNode node;
  constexpr int kRequests = 20'000;
  const LoadRun run =
      RunLoadAt(node.address(), {"--requests", absl::StrCat(kRequests), "--streams", "1", "--timeout-ms", "60000"});
  EXPECT_EQ(run.exit_status, 0) << run.printed;
  EXPECT_EQ(node.streams(), 1);
  EXPECT_GT(node.largest_frame(), 1);
  EXPECT_LT(node.stream_messages(), kRequests);
  EXPECT_EQ(node.unary_calls(), 0) << "an answer leaves room for the next request";
}

// With one request in flight, and none of them decided before all are queued.
TEST(TrancheLoadTest, QueuedClaimsAreCountedAndTheirDecisionsWaitedFor) {
  constexpr int kRequests = 20;
  for (const char* streams : {"0", "1"}) {
    FakeFrontNode node;
    node.queues = true;
    node.decides = false;
    std::atomic<int> seen = 0;
    node.on_queued = [&] {
      if (++seen == kRequests) node.decides = true;
    };
    const testing::ScratchDir scratch("load");
    const std::string summary = scratch.path() / "summary";
    const LoadRun run =
        RunLoadAt(node.address(), {"--requests", absl::StrCat(kRequests), "--in-flight", "1", "--streams", streams,
                                   "--accept-queued", "--timeout-ms", "60000", "--summary", summary});
    EXPECT_EQ(run.exit_status, 0) << run.printed;
    EXPECT_THAT(run.printed, AllOf(ContainsRegex("tv +20 +20 "), ContainsRegex("queued +20\n"),
                                   ContainsRegex("queued and decided +20\n"), ContainsRegex("decided +p50 ")));
    const auto json = nlohmann::json::parse(testing::FileContents(summary), nullptr, /*allow_exceptions=*/false);
    EXPECT_EQ(json["totals"]["queued"], kRequests);
    EXPECT_EQ(json["latency_ms"]["queued"]["count"], kRequests);
    EXPECT_EQ(json["latency_ms"]["decided"]["count"], kRequests);
  }
}

TEST(TrancheLoadTest, WithoutTheFlagNothingIsQueued) {
  FakeFrontNode node;
  node.queues = true;
  const LoadRun run = RunLoadAt(node.address(), {"--requests", "3", "--timeout-ms", "60000"});
  EXPECT_EQ(run.exit_status, 0) << run.printed;
  EXPECT_THAT(run.printed, Not(HasSubstr("queued")));
  EXPECT_EQ(node.claim_watches() + node.claim_reads(), 0);
}

TEST(TrancheLoadTest, AWrongTimeForDecisionsIsNamed) {
  const LoadRun run = RunLoadAt("127.0.0.1:1", {"--requests", "1", "--accept-queued", "--decide-within", "soon"});
  EXPECT_EQ(run.exit_status, 1);
  EXPECT_THAT(run.printed, HasSubstr("--decide-within: \"soon\" is not a time"));
}

// With one request in flight, most of a million arrivals a second find no room.
TEST(TrancheLoadTest, WhatCannotBeSentInTimeIsCounted) {
  FakeFrontNode node;
  const LoadRun run = RunLoadAt(node.address(), {"--requests", "20000", "--rate", "1000000", "--in-flight", "1",
                                                 "--skip-late", "--timeout-ms", "60000"});
  EXPECT_EQ(run.exit_status, 0) << run.printed;
  EXPECT_THAT(run.printed, ContainsRegex("not sent +[1-9][0-9]*\n"));
  EXPECT_LT(node.unary_calls(), 20'000);
}

TEST(TrancheLoadTest, OfAnEarlierRunNothingIsClaimedAgain) {
  FakeFrontNode node;
  const testing::ScratchDir scratch("load");
  const std::string ids = scratch.path() / "ids";
  ASSERT_EQ(RunLoadAt(node.address(), {"--requests", "3", "--acknowledged", ids}).exit_status, 0);
  const int claims = node.unary_calls();
  // It reads nothing of what this node does not serve, and says so.
  const LoadRun run = RunLoad({"--endpoints", node.address(), "--reservations", ids, "--read-rate", "100", "--duration",
                               "1s", "--timeout-ms", "60000"});
  EXPECT_EQ(run.exit_status, 0) << run.printed;
  EXPECT_THAT(run.printed, ContainsRegex("batch_get +UNIMPLEMENTED +[1-9][0-9]*\n"));
  EXPECT_EQ(node.unary_calls(), claims);
}

TEST(TrancheLoadTest, ReadsThatNobodyAnswersAreAnError) {
  const testing::ScratchDir scratch("load");
  const std::string ids = scratch.path() / "ids";
  std::ofstream(ids) << "01890000-0000-7000-8000-000000000001 tv\n";
  const LoadRun run = RunLoad({"--endpoints", "127.0.0.1:1", "--reservations", ids, "--read-rate", "100", "--duration",
                               "1s", "--timeout-ms", "1000"});
  EXPECT_EQ(run.exit_status, 2) << run.printed;
  EXPECT_THAT(run.printed, HasSubstr("no front node answered"));
}

TEST(TrancheLoadTest, AnEarlierRunNeedsWorkAndAnEnd) {
  const std::map<std::string, std::vector<std::string>> wrong = {
      {"--sku is required", {"--requests", "1"}},
      {"give --change-rate, --read-rate or both", {"--reservations", "ids", "--duration", "1s"}},
      {"give --duration", {"--reservations", "ids", "--read-rate", "1"}},
      {"leave out --sku", {"--reservations", "ids", "--read-rate", "1", "--duration", "1s", "--requests", "1"}},
      {"cannot read /no/ids", {"--reservations", "/no/ids", "--read-rate", "1", "--duration", "1s"}},
      {"--change-kinds", {"--sku", "tv", "--requests", "1", "--change-rate", "1", "--change-kinds", "pay"}},
  };
  for (const auto& [said, flags] : wrong) {
    std::vector<std::string> arguments = {"--endpoints", "127.0.0.1:1"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const LoadRun run = RunLoad(arguments);
    EXPECT_EQ(run.exit_status, 1) << run.printed;
    EXPECT_THAT(run.printed, HasSubstr(said));
  }
}

TEST(TrancheLoadTest, AnEndpointIsAHostAndAPort) {
  for (const char* endpoints : {"127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "http://127.0.0.1:7400", ":7400"}) {
    const LoadRun run = RunLoadAt(endpoints, {"--requests", "1"});
    EXPECT_EQ(run.exit_status, 1) << run.printed;
    EXPECT_THAT(run.printed, HasSubstr(absl::StrCat("\"", endpoints, "\" is not host:port")));
  }
  const LoadRun none = RunLoadAt(" , ", {"--requests", "1"});
  EXPECT_EQ(none.exit_status, 1);
  EXPECT_THAT(none.printed, HasSubstr("at least one host:port"));
}

TEST(TrancheLoadTest, TellsItsVersionAndItsFlags) {
  const LoadRun version = RunLoad({"--version"});
  EXPECT_EQ(version.exit_status, 0);
  EXPECT_THAT(version.printed, ContainsRegex("^tranche-load [0-9]+\\.[0-9]+\\.[0-9]+\n$"));
  const LoadRun help = RunLoad({"--help"});
  EXPECT_EQ(help.exit_status, 0);
  EXPECT_THAT(help.printed, AllOf(HasSubstr("--rate FLOAT:[0-1000000]"), Not(ContainsRegex("[0-9]{20}"))));
}

// The outcome of its request stays unknown for ever, so it would be asked for again and again.
TEST(TrancheLoadTest, TheFirstSignalEndsARunThatResolvesUnknownOutcomes) {
  FakeFrontNode node({}, ErrorDetails(grpc::StatusCode::INTERNAL, "INTERNAL"));
  absl::Notification resolving;
  node.on_create = [&](const tranche::v1::CreateReservationRequest& request) {
    if (request.may_exist() && !resolving.HasBeenNotified()) resolving.Notify();
  };
  const testing::ScratchDir scratch("load");
  const std::filesystem::path unknown = scratch.path() / "unknown";
  const auto load = testing::ServerProcess::Start(
      "load", "tranche-load",
      {"--endpoints", node.address(), "--sku", "tv", "--requests", "1", "--no-progress", "--unknown", unknown.string()},
      scratch.path());
  ASSERT_TRUE(load.ok()) << load.status();
  ASSERT_TRUE(resolving.WaitForNotificationWithTimeout(absl::Seconds(30))) << (*load)->LogTail();

  ASSERT_TRUE((*load)->process().Signal(SIGTERM).ok());
  const auto status = (*load)->process().Wait(absl::Seconds(3));
  ASSERT_TRUE(status.ok()) << "still running";
  EXPECT_EQ(*status, 0) << (*load)->LogTail();
  std::ostringstream lines;
  lines << std::ifstream(unknown).rdbuf();
  EXPECT_THAT(lines.str(), ::testing::EndsWith(" tv\n")) << "what was given up must be named";
}

TEST(TrancheLoadTest, BuysOverTlsAsSomebody) {
  const testing::TestAuthority authority("the authority");
  const ClientFiles files;
  files.Trust(authority.certificate_pem());
  files.Show(ForClient(authority, "load"));
  files.Say("a-token");
  Callers callers;
  FakeFrontNode node({}, {}, TlsDoor(ForNode(authority), authority.certificate_pem()));
  node.on_caller = [&](const grpc::ServerContext& context) { callers.Note(context); };

  const LoadRun run =
      RunLoadAt(node.address(), {"--requests", "10", "--tls-ca", files.ca(), "--tls-certificate", files.certificate(),
                                 "--tls-key", files.key(), "--token-file", files.token(), "--change-rate", "100"});
  EXPECT_EQ(run.exit_status, 0) << run.printed;
  EXPECT_EQ(callers.last_name(), "load");
  EXPECT_EQ(callers.last_authorization(), "Bearer a-token");

  const LoadRun nobody = RunLoadAt(node.address(), {"--requests", "1", "--tls-ca", files.ca()});
  EXPECT_EQ(nobody.exit_status, 2) << nobody.printed;
  EXPECT_THAT(nobody.printed, HasSubstr("client's certificate"));
  const LoadRun open = RunLoadAt("192.0.2.1:7400", {"--requests", "1", "--token-file", files.token()});
  EXPECT_EQ(open.exit_status, 1) << open.printed;
  EXPECT_THAT(open.printed, HasSubstr("in plaintext"));
}

TEST(TrancheLoadTest, SaysWhatACallerLacks) {
  google::rpc::Status refusal;
  refusal.set_code(grpc::StatusCode::UNAUTHENTICATED);
  FakeFrontNode strict({}, refusal);
  const LoadRun unknown = RunLoadAt(strict.address(), {"--requests", "1"});
  EXPECT_EQ(unknown.exit_status, 2) << unknown.printed;
  EXPECT_THAT(unknown.printed, HasSubstr("--token-file"));
  refusal.set_code(grpc::StatusCode::PERMISSION_DENIED);
  FakeFrontNode stricter({}, refusal);
  const LoadRun denied = RunLoadAt(stricter.address(), {"--requests", "1"});
  EXPECT_EQ(denied.exit_status, 2) << denied.printed;
  EXPECT_THAT(denied.printed, HasSubstr("needs a role"));
}

}  // namespace
}  // namespace tranche
