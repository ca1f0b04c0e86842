// tranchectl against a fake admin service: what all commands have in common, as endpoints, settings, errors and exit
// statuses.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/ctl/run.h"
#include "tests/integration/tranchectl_fixture.h"
#include "tests/support/scratch_dir.h"

namespace tranche::ctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(TranchectlTest, APathThatDoesNotExistIsNotJustEmpty) {
  EXPECT_EQ(Ctl({"zk", "dump", "/nope"}), 2);
  EXPECT_THAT(err_, HasSubstr("no znode /nope"));
}

TEST_F(TranchectlTest, ErrorsNameReasonAndNextStepAndLeaveStdoutEmpty) {
  EXPECT_EQ(Ctl({"sku", "show", "radio"}), 2);
  EXPECT_EQ(out_, "");
  EXPECT_THAT(err_, HasSubstr("SKU_NOT_FOUND"));
  EXPECT_THAT(err_, HasSubstr("tranchectl sku list"));
}

TEST_F(TranchectlTest, TellsWhoActs) {
  ASSERT_EQ(Ctl({"sku", "show", "tv"}), 0);
  EXPECT_THAT(admin_.actor_seen, HasSubstr("@"));
}

TEST_F(TranchectlTest, TellsWhoActsWhereTheEnvironmentDoesNot) {
  const char* user = getenv("USER");
  const std::string before = user == nullptr ? "" : user;
  // gRPC aborts on such metadata, unless its key says that it is binary.
  setenv("USER", "J\xc3\xb6rg", 1);
  EXPECT_EQ(Ctl({"sku", "show", "tv"}), 0);
  EXPECT_THAT(admin_.actor_seen, ::testing::StartsWith("J\xc3\xb6rg@"));
  unsetenv("USER");
  EXPECT_EQ(Ctl({"sku", "show", "tv"}), 0);
  EXPECT_THAT(admin_.actor_seen, Not(::testing::StartsWith("unknown@")));
  EXPECT_THAT(admin_.actor_seen, Not(::testing::StartsWith("@")));
  if (user != nullptr) setenv("USER", before.c_str(), 1);
}

// As with the servers: the command line, then the environment, then the file.
TEST_F(TranchectlTest, TheEnvironmentWinsOverTheConfigFile) {
  testing::ScratchDir dir("tranchectl");
  const std::string file = absl::StrCat(dir.path().string(), "/tranchectl.toml");
  std::ofstream(file) << "endpoint = \"127.0.0.1:1\"\noutput = \"json\"\n";
  EXPECT_EQ(RunCtl({"--config", file, "sku", "show", "tv"}), 2) << "nobody is there";
  setenv("TRANCHE_ENDPOINT", admin_.address().c_str(), 1);
  EXPECT_EQ(RunCtl({"--config", file, "sku", "show", "tv"}), 0) << err_;
  EXPECT_TRUE(nlohmann::json::accept(out_)) << "the rest of the file holds";
  setenv("TRANCHE_CONFIG", file.c_str(), 1);
  EXPECT_EQ(RunCtl({"sku", "show", "tv"}), 0) << err_;
  EXPECT_TRUE(nlohmann::json::accept(out_));
  EXPECT_EQ(RunCtl({"--endpoint", "127.0.0.1:1", "sku", "show", "tv"}), 2);
  unsetenv("TRANCHE_ENDPOINT");
  EXPECT_EQ(RunCtl({"--endpoint", admin_.address(), "sku", "show", "tv"}), 0) << err_;
  unsetenv("TRANCHE_CONFIG");
}

TEST_F(TranchectlTest, AnUnknownKeyOfTheConfigFileIsWrongUsage) {
  testing::ScratchDir dir("tranchectl");
  const std::string file = absl::StrCat(dir.path().string(), "/tranchectl.toml");
  std::ofstream(file) << "endpoint = \"" << admin_.address() << "\"\ntime-out = \"1s\"\n";
  EXPECT_EQ(RunCtl({"--config", file, "sku", "show", "tv"}), 1);
  EXPECT_THAT(err_, HasSubstr("unknown key"));
  EXPECT_THAT(err_, HasSubstr("time-out"));
}

TEST_F(TranchectlTest, UsesTheFirstEndpointThatAnswers) {
  EXPECT_EQ(RunCtl({"--endpoint", absl::StrCat("127.0.0.1:1, ", admin_.address()), "sku", "show", "tv"}), 0) << err_;
}

TEST_F(TranchectlTest, SaysSoWhenNobodyAnswers) {
  EXPECT_EQ(RunCtl({"--endpoint", "127.0.0.1:1", "sku", "list"}), 2);
  EXPECT_THAT(err_, HasSubstr("--endpoint"));
}

TEST_F(TranchectlTest, WrongUsageReturnsOne) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{},
                                             {"sku"},
                                             {"sku", "show"},
                                             {"sku", "create", "tv", "--stock", "-1", "--price", "1"},
                                             {"sku", "create", "tv", "--stock", "1", "--price", "1.999"},
                                             {"sku", "create", "tv", "--stock", "1"},
                                             {"sku", "create", "tv", "--stock", "1", "--price", "1", "--slots", "65"},
                                             {"sku", "create", "tv", "--stock", "1", "--price", "1", "--hold", "soon"},
                                             {"stock", "add", "tv", "0"},
                                             {"sku", "list", "-o", "yaml"},
                                             {"sku", "list", "--timeout", "soon"}}) {
    EXPECT_EQ(Ctl(arguments), 1) << ::testing::PrintToString(arguments);
    EXPECT_EQ(out_, "");
    EXPECT_NE(err_, "");
  }
}

TEST_F(TranchectlTest, NumbersAreDecimal) {
  ASSERT_EQ(Ctl({"sku", "create", "tv", "--price", "1", "--stock", "010", "--per-user-limit", "+2"}), 0) << err_;
  EXPECT_EQ(admin_.created.stock(), 10);
  EXPECT_EQ(admin_.created.per_user_limit(), 2);
  ASSERT_EQ(Ctl({"stock", "add", "tv", "0100"}), 0) << err_;
  EXPECT_EQ(admin_.add_stock_requests.back().units(), 100);
  ASSERT_EQ(Ctl({"quota", "move", "tv", "010", "--from", "node-1", "--to", "pool"}), 0) << err_;
  EXPECT_EQ(admin_.move_requests.back().units(), 10);

  for (const char* text : {"0x10", "1e3", "1.5", "true", "ten", "1_000", "10 ", ""}) {
    EXPECT_EQ(Ctl({"stock", "add", "tv", text}), 1) << text;
    EXPECT_THAT(err_, HasSubstr("whole number in decimal digits")) << text;
    EXPECT_EQ(Ctl({"sku", "create", "tv", "--price", "1", "--stock", text}), 1) << text;
    EXPECT_EQ(Ctl({"audit", "--limit", text}), 1) << text;
  }
  EXPECT_EQ(Ctl({"stock", "add", "tv", "99999999999999999999"}), 1);
  EXPECT_THAT(err_, HasSubstr("too large"));
}

TEST_F(TranchectlTest, WordsAreTakenInEitherCase) {
  ASSERT_EQ(Ctl({"-o", "JSON", "quota", "rebalance", "tv", "--policy", "Demand"}), 0) << err_;
  EXPECT_EQ(admin_.rebalance_requests.back().policy(), tranche::v1::REBALANCE_POLICY_DEMAND);
  EXPECT_TRUE(nlohmann::json::parse(out_)["preview"]);
}

TEST_F(TranchectlTest, TellsItsVersion) {
  EXPECT_EQ(RunCtl({"--version"}), 0) << err_;
  EXPECT_THAT(out_, ::testing::MatchesRegex("tranchectl [0-9]+\\.[0-9]+\\.[0-9]+\n"));
  EXPECT_EQ(RunCtl({"sku", "list", "--version"}), 0) << err_;
}

TEST_F(TranchectlTest, AnEndpointThatIsNoneIsWrongUsage) {
  for (const char* endpoint : {"127.0.0.1", "127.0.0.1:99999", "127.0.0.1:0", "http://127.0.0.1:7400", "..."}) {
    EXPECT_EQ(RunCtl({"--endpoint", endpoint, "sku", "list"}), 1) << endpoint;
    EXPECT_THAT(err_, HasSubstr("is not HOST:PORT")) << endpoint;
  }
}

TEST_F(TranchectlTest, AWrongValueOfTheEnvironmentNamesItsVariable) {
  setenv("TRANCHE_ENDPOINT", "foo", 1);
  EXPECT_EQ(RunCtl({"node", "list"}), 1);
  EXPECT_THAT(err_, HasSubstr("TRANCHE_ENDPOINT: \"foo\" is not HOST:PORT"));
  EXPECT_EQ(RunCtl({"--endpoint", "bar", "node", "list"}), 1);
  EXPECT_THAT(err_, HasSubstr("--endpoint: \"bar\"")) << "it was typed";
  unsetenv("TRANCHE_ENDPOINT");
  setenv("TRANCHE_OUTPUT", "yaml", 1);
  EXPECT_EQ(RunCtl({"node", "list"}), 1);
  EXPECT_THAT(err_, HasSubstr("TRANCHE_OUTPUT: "));
  EXPECT_EQ(RunCtl({"-o", "toml", "node", "list"}), 1);
  EXPECT_THAT(err_, HasSubstr("--output: "));
  unsetenv("TRANCHE_OUTPUT");
}

TEST_F(TranchectlTest, WhatTheClusterTakesForWrongUsageReturnsOne) {
  EXPECT_EQ(Ctl({"sku", "close", "tv"}), 1);
  EXPECT_THAT(err_, HasSubstr("FIELD_INVALID"));
}

TEST_F(TranchectlTest, AnOutputThatCannotBeWrittenReturnsOne) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"--endpoint", admin_.address(), "sku", "show", "tv"}, {"--help"}}) {
    std::ofstream full("/dev/full");
    std::ostringstream err;
    EXPECT_EQ(ctl::Run(arguments, full, err, {}), 1);
    EXPECT_THAT(err.str(), HasSubstr("cannot write the output"));
  }
}

}  // namespace
}  // namespace tranche::ctl
