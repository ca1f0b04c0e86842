// tranchectl against a fake admin service: SKUs and their stock.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/tranchectl_fixture.h"

namespace tranche::ctl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(TranchectlTest, ReservedUnitsDivide) {
  ASSERT_EQ(Ctl({"sku", "show", "tv"}), 0);
  EXPECT_THAT(out_, AllOf(::testing::ContainsRegex("reserved +880"), Not(HasSubstr("pending")))) << "not counted";
  admin_.SplitReserved(/*pending=*/50, /*overdue=*/7);
  ASSERT_EQ(Ctl({"sku", "show", "tv"}), 0);
  EXPECT_THAT(out_, AllOf(::testing::ContainsRegex("pending +50"), ::testing::ContainsRegex("overdue +7"),
                          ::testing::ContainsRegex("confirmed +830")));
  ASSERT_EQ(Ctl({"sku", "list"}), 0);
  EXPECT_THAT(out_, HasSubstr("50 (7 overdue)"));
}

TEST_F(TranchectlTest, CreatesASkuFromHumanInput) {
  ASSERT_EQ(
      Ctl({"sku", "create", "tv", "--stock", "1000", "--price", "19.99", "--currency", "EUR", "--hold", "15m",
           "--opens-at", "2026-11-27T09:00:00Z", "--per-user-limit", "2", "--max-extensions", "0", "--max-hold", "1h"}),
      0)
      << err_;
  EXPECT_TRUE(admin_.created.has_max_extensions());
  EXPECT_EQ(admin_.created.max_extensions(), 0);
  EXPECT_EQ(admin_.created.max_hold().seconds(), 3600);
  EXPECT_THAT(out_, HasSubstr("0, to 1h"));
  EXPECT_EQ(admin_.created.price_minor(), 1999);
  EXPECT_EQ(admin_.created.hold().seconds(), 900);
  EXPECT_EQ(admin_.created.open_time().seconds(), 1795770000);
  EXPECT_EQ(admin_.created.per_user_limit(), 2);
  EXPECT_FALSE(admin_.created.has_close_time());
  EXPECT_THAT(out_, HasSubstr("19.99 EUR"));
}

TEST_F(TranchectlTest, ASkuWhoseClaimsAreQueuedShowsIt) {
  const std::vector<std::string> create = {"sku", "create", "tv", "--stock", "5", "--price", "1"};
  ASSERT_EQ(Ctl(create), 0) << err_;
  EXPECT_EQ(admin_.created.claim_path(), tranche::v1::CLAIM_PATH_DIRECT);
  EXPECT_THAT(out_, Not(HasSubstr("path")));
  std::vector<std::string> queued = create;
  queued.insert(queued.end(), {"--path", "queue"});
  ASSERT_EQ(Ctl(queued), 0) << err_;
  EXPECT_EQ(admin_.created.claim_path(), tranche::v1::CLAIM_PATH_QUEUE);
  EXPECT_THAT(out_, ::testing::ContainsRegex("path +queue"));
  queued.back() = "broker";
  EXPECT_EQ(Ctl(queued), 1);
}

TEST_F(TranchectlTest, ListReadsEveryPage) {
  ASSERT_EQ(Ctl({"sku", "list"}), 0);
  EXPECT_THAT(out_, HasSubstr("tv"));
  EXPECT_THAT(out_, HasSubstr("phone"));
  ASSERT_EQ(Ctl({"sku", "list", "-o", "json"}), 0);
  EXPECT_EQ(nlohmann::json::parse(out_)["skus"].size(), 2u);
}

TEST_F(TranchectlTest, StockIsPreviewedAndChangedOnlyWithYes) {
  ASSERT_EQ(Ctl({"stock", "add", "tv", "500"}), 0);
  EXPECT_THAT(out_, HasSubstr("1000 -> 1500"));
  EXPECT_THAT(err_, HasSubstr("--yes"));
  ASSERT_EQ(Ctl({"stock", "add", "tv", "500", "--yes"}), 0);
  EXPECT_THAT(out_, HasSubstr("1000 -> 1500"));
  EXPECT_EQ(err_, "");
  ASSERT_EQ(Ctl({"sku", "show", "tv"}), 0);
  EXPECT_THAT(out_, HasSubstr("1500"));
}

TEST_F(TranchectlTest, StockIsChangedOnlyAsPreviewed) {
  ASSERT_EQ(Ctl({"stock", "add", "tv", "500"}), 0);
  EXPECT_THAT(err_, HasSubstr("--yes --expect-stock 1000"));
  EXPECT_FALSE(admin_.add_stock_requests[0].has_expected_stock());

  admin_.meddle = true;
  EXPECT_EQ(Ctl({"stock", "add", "tv", "500", "--yes"}), 2);
  EXPECT_EQ(admin_.add_stock_requests.back().expected_stock(), 1000);
  EXPECT_THAT(err_, HasSubstr("STOCK_CHANGED"));
  EXPECT_THAT(err_, HasSubstr("preview again"));

  admin_.meddle = false;
  EXPECT_EQ(Ctl({"stock", "add", "tv", "500", "--yes", "--expect-stock", "1000"}), 2) << "it is 1001 by now";
  EXPECT_EQ(Ctl({"stock", "add", "tv", "500", "--yes", "--expect-stock", "1001"}), 0) << err_;
}

TEST_F(TranchectlTest, ReduceSaysHowManyItCouldTake) {
  ASSERT_EQ(Ctl({"stock", "reduce", "tv", "500", "-o", "json"}), 0);
  EXPECT_EQ(nlohmann::json::parse(out_)["units_taken"], "120");
  EXPECT_THAT(err_, HasSubstr("Only 120 of 500"));
  ASSERT_EQ(Ctl({"stock", "reduce", "tv", "20", "--yes"}), 0);
  EXPECT_THAT(out_, HasSubstr("1000 -> 980"));
  EXPECT_EQ(err_, "");
}

TEST_F(TranchectlTest, StockThatWouldNotSellIsWarnedOf) {
  ASSERT_EQ(Ctl({"stock", "add", "tv", "5"}), 0);
  EXPECT_THAT(err_, Not(HasSubstr("warning")));
  admin_.SetSku(tranche::v1::SKU_STATE_OPEN, /*frozen=*/true);
  ASSERT_EQ(Ctl({"stock", "add", "tv", "5"}), 0);
  EXPECT_THAT(err_, HasSubstr("warning: its quota is frozen"));
  admin_.SetSku(tranche::v1::SKU_STATE_CLOSED, /*frozen=*/false);
  ASSERT_EQ(Ctl({"stock", "add", "tv", "5"}), 0);
  EXPECT_THAT(err_, HasSubstr("warning: its sale is over"));
  ASSERT_EQ(Ctl({"stock", "reduce", "tv", "5"}), 0);
  EXPECT_THAT(err_, Not(HasSubstr("warning")));
}

TEST_F(TranchectlTest, AStateSaysWhyNothingSells) {
  using tranche::v1::SkuState;
  for (const auto& [state, word] :
       {std::pair(SkuState::SKU_STATE_NOT_YET, "NOT_YET"), std::pair(SkuState::SKU_STATE_SOLD_OUT, "SOLD_OUT"),
        std::pair(SkuState::SKU_STATE_ENDED, "ENDED"), std::pair(SkuState::SKU_STATE_CLOSED, "CLOSED")}) {
    admin_.SetSku(state, false);
    ASSERT_EQ(Ctl({"sku", "list"}), 0);
    EXPECT_THAT(out_, HasSubstr(word));
  }
}

TEST_F(TranchectlTest, AReasonForTheLogOfAResumeStandsBeforeTheCommand) {
  EXPECT_EQ(Ctl({"sku", "resume", "tv", "--yes", "--reason", "mended"}), 1);
  EXPECT_THAT(err_, HasSubstr("tranchectl --reason TEXT sku resume tv"));
  EXPECT_EQ(Ctl({"--reason", "mended", "sku", "resume", "tv", "--yes"}), 0) << err_;
}

TEST_F(TranchectlTest, WarningsOfAChangeOfTermsAreShown) {
  ASSERT_EQ(Ctl({"sku", "pause", "tv", "--yes"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("warning: the nodes are not told"));
  ASSERT_EQ(Ctl({"sku", "pause", "tv", "--yes", "-o", "json"}), 0) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["warnings"][0], "the nodes are not told");
  ASSERT_EQ(Ctl({"sku", "pause", "--all", "--yes"}), 0) << err_;
  const size_t first = err_.find("the nodes are not told");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(err_.find("the nodes are not told", first + 1), std::string::npos) << "once for both SKUs";
}

TEST_F(TranchectlTest, AReopenOfAWindowThatIsOverSaysWhatMakesItLonger) {
  admin_.SetSku(tranche::v1::SKU_STATE_ENDED, false);
  ASSERT_EQ(Ctl({"sku", "reopen", "tv", "--yes"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("tranchectl sku update tv --closes-at"));
  admin_.SetSku(tranche::v1::SKU_STATE_OPEN, false);
  ASSERT_EQ(Ctl({"sku", "reopen", "tv", "--yes"}), 0) << err_;
  EXPECT_THAT(err_, ::testing::Not(HasSubstr("--closes-at")));
}

}  // namespace
}  // namespace tranche::ctl
