// tranchectl token new and access check, which ask no node.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "storage/base/access_token.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/tranchectl_runner.h"

namespace tranche::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

class CtlAccessTest : public ::testing::Test, protected TranchectlRunner {
 protected:
  std::string Write(const std::string& text) {
    const std::string path = scratch_.path() / "access.json";
    std::ofstream(path, std::ios::trunc) << text;
    chmod(path.c_str(), 0644);  // whatever the umask
    return path;
  }
  const ScratchDir scratch_{"ctl-access"};
};

TEST_F(CtlAccessTest, ATokenIsShownOnceWithItsHash) {
  ASSERT_EQ(RunCtl({"token", "new", "-o", "json"}), 0) << err_;
  const json made = json::parse(out_, nullptr, /*allow_exceptions=*/false);
  const std::string token = made["token"];
  EXPECT_EQ(made["sha256"], HexOf(DigestOfToken(token)));
  ASSERT_EQ(RunCtl({"token", "new"}), 0) << err_;
  EXPECT_THAT(out_, MatchesRegex("token:  trt_[A-Za-z0-9_-]+\nsha256: [0-9a-f]+\n"));
  EXPECT_THAT(out_, Not(HasSubstr(token))) << "another one each time";
}

TEST_F(CtlAccessTest, AFileForATokenIsNewAndForItsOwnerAlone) {
  const std::string path = scratch_.path() / "till.token";
  ASSERT_EQ(RunCtl({"token", "new", "--out", path}), 0) << err_;
  const std::string contents = FileContents(path);
  const std::string token(absl::StripSuffix(contents, "\n"));
  EXPECT_THAT(out_, AllOf(HasSubstr(HexOf(DigestOfToken(token))), Not(HasSubstr("trt_"))));
  EXPECT_THAT(err_, Not(HasSubstr("trt_")));
  struct stat info = {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);

  EXPECT_EQ(RunCtl({"token", "new", "--out", path}), 1);
  EXPECT_THAT(err_, HasSubstr("is there already"));
  EXPECT_EQ(FileContents(path), contents) << "a token that is in use is not lost";
  EXPECT_EQ(RunCtl({"token", "new", "--out", scratch_.path() / "none" / "x"}), 1);
}

TEST_F(CtlAccessTest, AnAccessFileIsReadAsByANode) {
  const std::string good = Write(absl::StrCat(
      R"({"principals": [ // who
        {"name": "till-3", "roles": ["storefront", "risk"], "certificates": ["DNS:till"], "tokens_sha256": [")",
      HexOf(DigestOfToken("x")), R"("]}, {"name": "alice", "roles": ["operator"]}]})"));
  ASSERT_EQ(RunCtl({"access", "check", good}), 0) << err_;
  EXPECT_THAT(out_, AllOf(HasSubstr("till-3"), HasSubstr("storefront, risk"), HasSubstr("(no credentials)")));
  EXPECT_THAT(out_, Not(HasSubstr("DNS:till")));
  ASSERT_EQ(RunCtl({"access", "check", good, "-o", "wide"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("DNS:till"));
  ASSERT_EQ(RunCtl({"access", "check", good, "-o", "json"}), 0) << err_;
  const json read = json::parse(out_, nullptr, /*allow_exceptions=*/false);
  EXPECT_EQ(read["principals"][0]["roles"], json::array({"storefront", "risk"}));
  EXPECT_EQ(read["principals"][0]["tokens"], 1);

  EXPECT_EQ(err_, "");
  chmod(good.c_str(), 0664);
  EXPECT_EQ(RunCtl({"access", "check", good}), 0);
  EXPECT_THAT(err_, HasSubstr("chmod go-w"));

  EXPECT_EQ(RunCtl({"access", "check", Write(R"({"principals": [{"name": "a", "roles": ["root"]}]})")}), 1);
  EXPECT_THAT(err_, AllOf(HasSubstr("access.json"), HasSubstr("principals[0] (a).roles[0]")));
  EXPECT_EQ(RunCtl({"access", "check", scratch_.path() / "none"}), 1);
  EXPECT_THAT(err_, HasSubstr("cannot be read"));
}

TEST_F(CtlAccessTest, WhatANodeThatOthersReachRefusesIsTold) {
  constexpr char kSomebody[] = R"([{"name": "alice", "roles": ["admin"]}])";
  ASSERT_EQ(RunCtl({"access", "check",
                    Write(absl::StrCat(R"({"anonymous": ["viewer", "operator"], "principals": )", kSomebody, "}"))}),
            0);
  EXPECT_THAT(err_, AllOf(HasSubstr("would refuse this file: anonymous has operator."), Not(HasSubstr("Nobody"))));
  ASSERT_EQ(RunCtl({"access", "check",
                    Write(absl::StrCat(R"({"anonymous": ["viewer", "storefront"], "principals": )", kSomebody, "}"))}),
            0);
  EXPECT_EQ(err_, "");
}

TEST_F(CtlAccessTest, AFileByWhichNobodyRunsTheSaleIsTold) {
  ASSERT_EQ(RunCtl({"access", "check", Write(R"({"principals": [{"name": "shop", "roles": ["storefront"]}]})")}), 0);
  EXPECT_THAT(err_, AllOf(HasSubstr("Nobody has the role operator or admin"), Not(HasSubstr("refuse"))));
}

}  // namespace
}  // namespace tranche::testing
