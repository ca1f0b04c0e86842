#include "server/access/access_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "storage/base/access_file_trust.h"
#include "tests/support/logged_lines.h"
#include "tests/support/scratch_dir.h"

namespace tranche::server {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class AccessFileTest : public ::testing::Test {
 protected:
  void Write(const std::string& text) {
    std::ofstream(path_, std::ios::trunc) << text;
    // Whatever the umask.
    std::filesystem::permissions(path_, std::filesystem::perms(0644));
  }
  void WriteAnonymous(const std::string& role) { Write("{\"anonymous\": [\"" + role + "\"], \"principals\": []}"); }
  bool AnonymousHas(Role role) { return file_.Current().policy->anonymous()->roles.Has(role); }

  const tranche::testing::ScratchDir scratch_{"access"};
  const std::filesystem::path path_ = scratch_.path() / "access.json";
  AccessFile file_{path_};
};

TEST_F(AccessFileTest, BeforeItIsOpenedNobodyHasARole) {
  EXPECT_TRUE(file_.Current().policy->anonymous()->roles.empty());
  EXPECT_THAT(std::string(file_.Open().message()), HasSubstr(path_.string()));
  Write("");
  EXPECT_FALSE(file_.Open().ok()) << "an empty file";
  EXPECT_TRUE(file_.Current().policy->anonymous()->roles.empty());
}

TEST_F(AccessFileTest, AChangeIsSeenByTheNextLook) {
  WriteAnonymous("viewer");
  ASSERT_TRUE(file_.Open().ok());
  EXPECT_TRUE(AnonymousHas(Role::kViewer));
  const uint64_t before = file_.generation();
  file_.Look();
  EXPECT_EQ(file_.generation(), before) << "nothing has changed";
  WriteAnonymous("admin");
  EXPECT_EQ(file_.generation(), before);
  file_.Look();
  EXPECT_NE(file_.generation(), before);
  EXPECT_TRUE(AnonymousHas(Role::kAdmin));
  EXPECT_FALSE(AnonymousHas(Role::kViewer));
  std::thread([&] { EXPECT_TRUE(AnonymousHas(Role::kAdmin)); }).join();
}

// The times of a file tick more slowly than it can be written.
TEST_F(AccessFileTest, AChangeOfTheSameSizeInTheSameMomentIsSeen) {
  WriteAnonymous("viewer");
  const auto written_at = std::filesystem::last_write_time(path_);
  ASSERT_TRUE(file_.Open().ok());
  Write("{\"anonymous\": [\"risk\"],   \"principals\": []}");
  std::filesystem::last_write_time(path_, written_at);
  file_.Look();
  EXPECT_TRUE(AnonymousHas(Role::kRisk));
}

TEST_F(AccessFileTest, AFaultyOneChangesNothingAndIsLoggedOnce) {
  WriteAnonymous("viewer");
  ASSERT_TRUE(file_.Open().ok());
  const uint64_t before = file_.generation();
  const tranche::testing::LoggedLines log;
  Write("{\"anonymous\": [\"viewer\"], \"princi");
  for (int i = 0; i < 3; ++i) file_.Look();
  EXPECT_TRUE(file_.faulty());
  EXPECT_EQ(file_.generation(), before);
  ASSERT_EQ(log.lines().size(), 1u);
  EXPECT_THAT(log.lines()[0], HasSubstr("line 1"));

  std::filesystem::remove(path_);
  for (int i = 0; i < 3; ++i) file_.Look();
  EXPECT_EQ(log.lines().size(), 2u);
  EXPECT_TRUE(AnonymousHas(Role::kViewer));

  WriteAnonymous("viewer");
  file_.Look();
  EXPECT_FALSE(file_.faulty());
  EXPECT_EQ(file_.generation(), before) << "as it was";
  EXPECT_THAT(log.lines().back(), HasSubstr("can be read again"));
}

TEST_F(AccessFileTest, WhatOthersMayWriteIsNotTrusted) {
  WriteAnonymous("viewer");
  for (const auto others : {std::filesystem::perms::others_write, std::filesystem::perms::group_write}) {
    std::filesystem::permissions(path_, others, std::filesystem::perm_options::add);
    EXPECT_THAT(std::string(file_.Open().message()), HasSubstr("chmod go-w"));
    std::filesystem::permissions(path_, others, std::filesystem::perm_options::remove);
  }
  EXPECT_TRUE(file_.Open().ok());
  struct stat info = {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  info.st_uid = geteuid() + 1;
  EXPECT_THAT(WhyOthersMayWrite(info), HasSubstr("chown it to root"));
  info.st_uid = 0;
  EXPECT_EQ(WhyOthersMayWrite(info), "");
  AccessFile folder{scratch_.path()};
  EXPECT_FALSE(folder.Open().ok());
}

TEST_F(AccessFileTest, StrangersDoNotRunASaleThatOthersReach) {
  AccessFile reached{path_, {.reached_by_others = true}};
  for (const char* role : {"service", "operator", "admin"}) {
    WriteAnonymous(role);
    EXPECT_THAT(std::string(reached.Open().message()), AllOf(HasSubstr("anonymous"), HasSubstr(role)));
    EXPECT_TRUE(reached.Current().policy->anonymous()->roles.empty());
    const tranche::testing::LoggedLines log;
    ASSERT_TRUE(file_.Open().ok());
    ASSERT_FALSE(log.lines().empty());
    EXPECT_THAT(log.lines()[0], AllOf(HasSubstr("everybody on this machine"), HasSubstr(role)));
  }
  WriteAnonymous("storefront");
  ASSERT_TRUE(reached.Open().ok());
  WriteAnonymous("admin");
  reached.Look();
  EXPECT_TRUE(reached.faulty());
  EXPECT_FALSE(reached.Current().policy->anonymous()->roles.Has(Role::kAdmin)) << "the one before still holds";
}

TEST_F(AccessFileTest, CertificatesThatNobodyIsAskedForAreTold) {
  AccessFile deaf{path_, {.asks_for_certificates = false}};
  Write(R"({"principals": [{"name": "a", "roles": ["viewer"], "certificates": ["DNS:a"]}]})");
  const tranche::testing::LoggedLines log;
  ASSERT_TRUE(deaf.Open().ok()) << "tokens count all the same";
  ASSERT_FALSE(log.lines().empty());
  EXPECT_THAT(log.lines()[0], HasSubstr("give --tls-client-ca"));

  const size_t told = log.lines().size();
  ASSERT_TRUE(file_.Open().ok());
  Write(R"({"principals": [{"name": "a", "roles": ["viewer"]}]})");
  deaf.Look();
  for (size_t line = told; line < log.lines().size(); ++line) {
    EXPECT_THAT(log.lines()[line], Not(HasSubstr("--tls-client-ca"))) << "it asks, or the file names none";
  }
}

TEST_F(AccessFileTest, TwoFilesOfOneThreadAreNotMixedUp) {
  WriteAnonymous("viewer");
  ASSERT_TRUE(file_.Open().ok());
  AccessFile other{path_};
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(AnonymousHas(Role::kViewer));
    EXPECT_TRUE(other.Current().policy->anonymous()->roles.empty()) << "not opened";
  }
}

}  // namespace
}  // namespace tranche::server
