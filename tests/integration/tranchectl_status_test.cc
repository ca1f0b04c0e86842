// tranchectl against a fake admin service: what runs, what is wrong, and what sells.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "tests/integration/tranchectl_fixture.h"

namespace tranche::ctl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST_F(TranchectlTest, StatusExitsByWhatIsWrong) {
  EXPECT_EQ(Ctl({"status"}), 0);
  EXPECT_THAT(out_, ::testing::StartsWith("healthy"));
  admin_.AddProblem("NO_WORKER", "No worker runs since 14:03:21.");
  EXPECT_EQ(Ctl({"status"}), 3);
  EXPECT_THAT(out_, AllOf(HasSubstr("NOT HEALTHY: 1 critical"), HasSubstr("CRITICAL NO_WORKER"),
                          HasSubstr("since 14:03:21"), HasSubstr("next: mend it")));
  EXPECT_EQ(Ctl({"status", "-o", "json"}), 3);
  EXPECT_EQ(nlohmann::json::parse(out_)["problems"][0]["code"], "NO_WORKER");
  EXPECT_EQ(RunCtlAt("127.0.0.1:1", {"status"}), 2);
  EXPECT_THAT(err_, HasSubstr("tried: 127.0.0.1:1"));
  EXPECT_EQ(RunCtlAt("127.0.0.1:1", {"status", "--watch"}), 2);
  EXPECT_THAT(err_, HasSubstr("tried: 127.0.0.1:1"));
  EXPECT_EQ(Ctl({"status", "--watch", "--exit-when-healthy"}), 1);
}

TEST_F(TranchectlTest, StatusWaitsUntilItIsHealthy) {
  admin_.AddProblem("NO_WORKER", "No worker runs.");
  EXPECT_EQ(Ctl({"status", "--exit-when-healthy", "--interval", "10ms", "--timeout", "300ms"}), 3);
  EXPECT_THAT(err_, HasSubstr("waiting: NOT HEALTHY"));
  EXPECT_THAT(out_, HasSubstr("NO_WORKER"));
  admin_.problems_end_at_look = admin_.status_looks + 4;
  EXPECT_EQ(Ctl({"status", "--exit-when-healthy", "--interval", "10ms", "--timeout", "20s"}), 0);
  EXPECT_THAT(out_, ::testing::StartsWith("healthy"));
}

TEST_F(TranchectlTest, StatusIsWatched) {
  admin_.AddProblem("NO_WORKER", "No worker runs.");
  admin_.problems_end_at_look = admin_.status_looks + 2;
  std::istringstream lines(LinesOf(2, admin_.address(), {"status", "--watch", "--interval", "10ms", "-o", "json"}));
  std::vector<size_t> problems;
  for (std::string line; std::getline(lines, line);) {
    problems.push_back(nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false)["problems"].size());
  }
  EXPECT_THAT(problems, ::testing::ElementsAre(1, 0)) << "each line is a look of its own";

  admin_.problems_end_at_look = admin_.status_looks + 2;
  const std::string text = LinesOf(60, admin_.address(), {"status", "--watch", "--interval", "10ms"});
  EXPECT_THAT(text, ::testing::ContainsRegex("^20[-0-9]+T[:0-9]+Z\nNOT HEALTHY: 1 critical"));
  EXPECT_THAT(text, ::testing::ContainsRegex("\n20[-0-9]+T[:0-9]+Z\nhealthy"));
}

TEST_F(TranchectlTest, TopIsDrawnAnewOnATerminal) {
  constexpr char kClear[] = "\x1b[H\x1b[2J";
  admin_.traffic_growth = 1;
  // A view is the time, the heading and a SKU.
  const std::string text =
      LinesOf(6, admin_.address(), {"top", "--interval", "10ms"}, {.color = false, .redraw = true});
  const std::vector<std::string> views = absl::StrSplit(text, kClear, absl::SkipEmpty());
  ASSERT_EQ(views.size(), 2u) << text;
  EXPECT_THAT(views[0], ::testing::ContainsRegex("^20[-0-9]+T[:0-9]+Z\nSKU .*\ntv +12.3 "));
  EXPECT_THAT(views[1], ::testing::ContainsRegex("^20[-0-9]+T[:0-9]+Z\nSKU .*\ntv +13.3 "));
}

TEST_F(TranchectlTest, TopShowsTraffic) {
  ASSERT_EQ(Ctl({"top", "--once", "--limit", "5"}), 0) << err_;
  EXPECT_EQ(admin_.traffic_limit, 5);
  EXPECT_THAT(out_, ::testing::ContainsRegex("tv +12.3 +0.0 +0.0 +0 +0 +120 +0"));
  ASSERT_EQ(Ctl({"top", "--once", "-o", "json"}), 0);
  EXPECT_EQ(nlohmann::json::parse(out_)["skus"][0]["sku_id"], "tv");
  EXPECT_EQ(Ctl({"top", "--limit", "100"}), 1);
}

}  // namespace
}  // namespace tranche::ctl
