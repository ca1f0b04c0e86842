// Runs tranchectl within a test's process.
#pragma once

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "client/ctl/run.h"
#include "gtest/gtest.h"

namespace tranche::testing {

// A base of fixtures: keeps what the last command printed. One thread.
class TranchectlRunner {
 protected:
  // The command's exit status.
  int RunCtl(std::vector<std::string> arguments) {
    std::ostringstream out, err;
    const int status = ctl::Run(std::move(arguments), out, err, ctl::Screen());
    out_ = out.str();
    err_ = err.str();
    return status;
  }
  int RunCtlAt(const std::string& endpoints, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--endpoint", endpoints});
    return RunCtl(std::move(arguments));
  }
  // The output of a command that must succeed, as a table and as JSON.
  std::string TableAt(const std::string& endpoints, const std::vector<std::string>& arguments) {
    EXPECT_EQ(RunCtlAt(endpoints, arguments), 0) << ::testing::PrintToString(arguments) << ": " << err_;
    return out_;
  }
  nlohmann::json JsonAt(const std::string& endpoints, std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"-o", "json"});
    return nlohmann::json::parse(TableAt(endpoints, arguments), nullptr, /*allow_exceptions=*/false);
  }

  std::string out_;
  std::string err_;
};

}  // namespace tranche::testing
