#include <gtest/gtest.h>

#include <sstream>

#include "client/ctl/audit_view.h"
#include "client/ctl/display_width.h"
#include "client/ctl/parse.h"
#include "client/ctl/suggest.h"
#include "client/ctl/table.h"

namespace tranche::ctl {
namespace {

TEST(AuditViewTest, ShowsOnlyWhatChanged) {
  EXPECT_EQ(DescribeAuditChange(R"({"stock": 1000})", R"({"stock": 1500})"), "stock 1000 -> 1500");
  EXPECT_EQ(DescribeAuditChange(R"({"stock": 10})", R"({"stock": 7, "asked": 30})"), "stock 10 -> 7, asked 30");
  EXPECT_EQ(DescribeAuditChange(R"({"0": 60, "3": 40})", R"({"0": 50, "3": 40, "17": 10})"), "pool 60 -> 50, #17 10");
  EXPECT_EQ(DescribeAuditChange(R"({"3": 40})", "{}"), "#3 40 -> none");
  EXPECT_EQ(DescribeAuditChange(R"({"state": "OPEN"})", R"({"state": "CLOSED"})"), "state OPEN -> CLOSED");
  EXPECT_EQ(DescribeAuditChange(R"({"draining": false})", R"({"draining": true})"), "draining false -> true");
  EXPECT_EQ(DescribeAuditChange("x", "y"), "x -> y") << "what is no JSON is shown as it is";
  EXPECT_EQ(DescribeAuditChange("{}", "{}"), "");
}

TEST(DisplayWidthTest, WideCharactersTakeTwoColumnsAndMarksNone) {
  EXPECT_EQ(DisplayWidth(""), 0u);
  EXPECT_EQ(DisplayWidth("Fernseher"), 9u);
  EXPECT_EQ(DisplayWidth("M\u00fctze"), 5u);
  EXPECT_EQ(DisplayWidth("Mu\u0308tze"), 5u) << "decomposed";
  EXPECT_EQ(DisplayWidth("\u30c6\u30ec\u30d3"), 6u);
  EXPECT_EQ(DisplayWidth("\uc11c\uc6b8"), 4u);
  EXPECT_EQ(DisplayWidth("\U0001f3ab 2"), 4u);
  EXPECT_EQ(DisplayWidth("\xff\xe3x"), 3u) << "what is no UTF-8 takes a column a byte";
}

TEST(TableTest, ColumnsLineUpBehindWideCharacters) {
  Table table({"TITLE", "STOCK"});
  table.AddRow({"\u30c6\u30ec\u30d3", "7"});
  table.AddRow({"TV", "12"});
  std::ostringstream out;
  table.Print(out, /*bold_header=*/false);
  EXPECT_EQ(out.str(),
            "TITLE   STOCK\n"
            "\u30c6\u30ec\u30d3      7\n"
            "TV         12\n");
}

TEST(SuggestTest, FindsWhatWasMeant) {
  const std::vector<std::string> words = {"show", "set", "move", "rebalance", "freeze", "thaw"};
  EXPECT_EQ(ClosestWord("shwo", words), "show");
  EXPECT_EQ(ClosestWord("rebalnce", words), "rebalance");
  EXPECT_EQ(ClosestWord("re", words), "rebalance") << "the beginning of only one";
  EXPECT_EQ(ClosestWord("freez", words), "freeze");
  EXPECT_EQ(ClosestWord("mvoe", words), "move");
  EXPECT_EQ(ClosestWord("delete", words), "");
  EXPECT_EQ(ClosestWord("get", words), "set");
  EXPECT_EQ(ClosestWord("add", words), "") << "two slips are too many for three letters";
  EXPECT_EQ(ClosestWord("tcsh", {"bash", "zsh", "fish"}), "") << "and for four";
  EXPECT_EQ(ClosestWord("rebalnec", words), "rebalance") << "two in eight";
  EXPECT_EQ(ClosestWord("s", words), "") << "show or set";
  EXPECT_EQ(ClosestWord("", words), "");
}

TEST(NodeWeightTest, IsANameAndAWeight) {
  EXPECT_EQ(ParseNodeWeight("node-1=3")->node, "node-1");
  EXPECT_EQ(ParseNodeWeight("node-1=3")->weight, 3);
  EXPECT_EQ(ParseNodeWeight("host:7400=0")->node, "host:7400");
  EXPECT_EQ(ParseNodeWeight("a=b=2")->node, "a=b");
  for (const char* text : {"", "node-1", "=3", "node-1=", "node-1=-1", "node-1=x", "node-1=1.5"}) {
    EXPECT_FALSE(ParseNodeWeight(text).ok()) << text;
  }
}

TEST(SkuQuantityTest, IsASkuAndHowManyOfIt) {
  EXPECT_EQ(ParseSkuQuantity("tv")->sku, "tv");
  EXPECT_EQ(ParseSkuQuantity("tv")->quantity, 1);
  EXPECT_EQ(ParseSkuQuantity("tv=12")->sku, "tv");
  EXPECT_EQ(ParseSkuQuantity("tv=12")->quantity, 12);
  for (const char* text : {"", "=2", "tv=", "tv=0", "tv=-1", "tv=x", "tv=1=2", "tv=99999999999"}) {
    EXPECT_FALSE(ParseSkuQuantity(text).ok()) << text;
  }
}

TEST(FormatAgeTest, IsShort) {
  EXPECT_EQ(FormatAge(absl::ZeroDuration()), "0.0s");
  EXPECT_EQ(FormatAge(absl::Milliseconds(1590)), "1.5s");
  EXPECT_EQ(FormatAge(absl::Milliseconds(59'999)), "59.9s");
  EXPECT_EQ(FormatAge(absl::Seconds(90)), "1m30s");
}

TEST(TableTest, AlignsNumbersOfEveryKindRight) {
  Table table({"N", "NAME"});
  table.AddRow({"-3", "a"});
  table.AddRow({"120.5", "b"});
  table.AddRow({"", "c"});
  std::ostringstream out;
  table.Print(out, /*bold_header=*/false);
  EXPECT_EQ(out.str(), "    N  NAME\n   -3  a\n120.5  b\n    -  c\n");
}

}  // namespace
}  // namespace tranche::ctl
