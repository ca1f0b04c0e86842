// Runs tranchectl within a test's process.
#pragma once

#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "client/ctl/run.h"
#include "client/ctl/screen.h"
#include "gtest/gtest.h"

namespace tranche::testing {

// Breaks like a pipe whose reader has read enough lines.
class PipeOfLines : public std::stringbuf {
 public:
  explicit PipeOfLines(int lines) : lines_(lines) {}

 protected:
  std::streamsize xsputn(const char* text, std::streamsize size) override {
    if (lines_ <= 0) return 0;
    for (std::streamsize i = 0; i < size; ++i) lines_ -= text[i] == '\n' ? 1 : 0;
    return std::stringbuf::xsputn(text, size);
  }

 private:
  int lines_;
};

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
  // What a command prints that goes on until its reader has had `lines` lines.
  std::string LinesOf(int lines, const std::string& endpoints, std::vector<std::string> arguments,
                      const ctl::Screen& screen = {}) {
    arguments.insert(arguments.begin(), {"--endpoint", endpoints});
    PipeOfLines pipe(lines);
    std::ostream out(&pipe);
    std::ostringstream err;
    EXPECT_EQ(ctl::Run(std::move(arguments), out, err, screen), 1) << "nobody reads on: " << err.str();
    return pipe.str();
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
