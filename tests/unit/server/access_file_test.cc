#include "server/access/access_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "tests/support/logged_lines.h"
#include "tests/support/scratch_dir.h"

namespace tranche::server {
namespace {

using ::testing::HasSubstr;

class AccessFileTest : public ::testing::Test {
 protected:
  void Write(const std::string& text) { std::ofstream(path_, std::ios::trunc) << text; }
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

TEST_F(AccessFileTest, WhatEverybodyMayWriteIsNotTrusted) {
  WriteAnonymous("viewer");
  std::filesystem::permissions(path_, std::filesystem::perms::others_write, std::filesystem::perm_options::add);
  EXPECT_THAT(std::string(file_.Open().message()), HasSubstr("chmod o-w"));
  std::filesystem::permissions(path_, std::filesystem::perms::others_write, std::filesystem::perm_options::remove);
  EXPECT_TRUE(file_.Open().ok());
  AccessFile folder{scratch_.path()};
  EXPECT_FALSE(folder.Open().ok());
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
