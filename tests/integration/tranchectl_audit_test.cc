// tranchectl against a fake admin service: the audit log, and the recomputed rules of the ledger.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "tests/integration/tranchectl_fixture.h"

namespace tranche::ctl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST_F(TranchectlTest, AuditStopsAtItsLimit) {
  ASSERT_EQ(Ctl({"audit", "--sku", "tv", "--limit", "7", "-o", "json"}), 0);
  EXPECT_EQ(nlohmann::json::parse(out_)["entries"].size(), 7u);
  EXPECT_EQ(nlohmann::json::parse(out_)["next_page_token"], "3");
  EXPECT_THAT(err_, AllOf(HasSubstr("There are more"), HasSubstr("--page-token 3")));
  ASSERT_EQ(Ctl({"audit", "--sku", "tv", "--limit", "1"}), 0);
  EXPECT_THAT(out_, HasSubstr("stock 1000 -> 1500"));
}

TEST_F(TranchectlTest, AuditGoesOnWhereItEnded) {
  admin_.audit_pages = 4;
  ASSERT_EQ(Ctl({"audit", "--page-token", "2", "-o", "json"}), 0) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["entries"].size(), 6u);
  EXPECT_EQ(err_, "");
}

TEST_F(TranchectlTest, AnAuditExportHasEveryEntryOrSaysSo) {
  admin_.audit_pages = 5;
  ASSERT_EQ(Ctl({"audit", "--all", "-o", "json"}), 0) << err_;
  const std::vector<std::string> lines = absl::StrSplit(out_, '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 15u);
  for (const std::string& line : lines) EXPECT_EQ(nlohmann::json::parse(line)["action"], "add_stock");
  EXPECT_EQ(err_, "");

  admin_.audit_silent_page = 3;
  EXPECT_EQ(Ctl({"audit", "--all", "-o", "json"}), 2);
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 6);
  EXPECT_THAT(err_, AllOf(HasSubstr("NOT COMPLETE: 6 entries"), HasSubstr("s1"), HasSubstr("--page-token 2")));

  EXPECT_EQ(Ctl({"audit", "--all"}), 1);
  EXPECT_THAT(err_, HasSubstr("-o json"));
  EXPECT_EQ(Ctl({"audit", "--all", "--limit", "5", "-o", "json"}), 1);
}

TEST_F(TranchectlTest, AuditSaysWhatItDoesNotShow) {
  admin_.audit_silent_page = 1;
  ASSERT_EQ(Ctl({"audit", "--limit", "3"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("add_stock"));
  EXPECT_THAT(err_, HasSubstr("warning: the shard s1 does not answer"));
  admin_.audit_pages = 0;
  ASSERT_EQ(Ctl({"audit", "--action", "reclaim_incarnation"}), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("--automatic"));
  ASSERT_EQ(Ctl({"audit", "--action", "reclaim_incarnation", "--automatic"}), 0) << err_;
  EXPECT_EQ(err_, "");
}

TEST_F(TranchectlTest, VerifyReturnsTwoWhenARuleIsBroken) {
  EXPECT_EQ(Ctl({"verify"}), 0);
  EXPECT_THAT(out_, HasSubstr("ok: 3 SKUs")) << "of all pages";
  EXPECT_EQ(Ctl({"verify", "--sku", "tv"}), 0);
  EXPECT_THAT(out_, HasSubstr("ok: 1 SKUs"));
  admin_.broken = true;
  EXPECT_EQ(Ctl({"verify"}), 2);
  EXPECT_THAT(out_, HasSubstr("conservation"));
}

TEST_F(TranchectlTest, VerifyReturnsThreeWhenItCouldNotTell) {
  admin_.ledger_silent = true;
  EXPECT_EQ(Ctl({"verify"}), 3);
  EXPECT_EQ(out_, "");
  EXPECT_EQ(Ctl({"verify", "--sku"}), 1) << "wrong usage stays 1";
}

TEST_F(TranchectlTest, AuditMayBeCalledAList) {
  ASSERT_EQ(Ctl({"audit", "list", "--sku", "tv", "--limit", "7", "-o", "json"}), 0) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["entries"].size(), 7u);
  ASSERT_EQ(Ctl({"audit", "--limit", "1", "list"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("stock 1000 -> 1500"));
  EXPECT_EQ(Ctl({"audit", "tv"}), 1);
}

}  // namespace
}  // namespace tranche::ctl
