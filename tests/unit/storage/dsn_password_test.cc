#include "storage/postgres/dsn_password.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "storage/base/secret_file.h"
#include "tests/support/scratch_dir.h"

namespace tranche::storage {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// What libpq reads for the keyword; "(none)" if it is not set.
std::string Read(const std::string& dsn, const std::string& keyword) {
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(PQconninfoParse(dsn.c_str(), nullptr),
                                                                             &PQconninfoFree);
  if (options == nullptr) return "(unreadable)";
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->keyword == keyword && option->val != nullptr) return option->val;
  }
  return "(none)";
}

TEST(DsnPasswordTest, LibpqReadsThePasswordAndEverythingElse) {
  const std::string password = "it's a \\ pass=word @/? %41 \xc3\xa4";
  for (const char* const dsn : {"host=db port=6543 dbname='my shop' user=me sslmode=verify-full",
                                "postgresql://me@db:6543/my%20shop?sslmode=verify-full",
                                "host=db port=6543 dbname='my shop' user=me sslmode=verify-full password=old",
                                "postgresql://me:old@db:6543/my%20shop?sslmode=verify-full"}) {
    const auto full = WithPassword(dsn, password);
    ASSERT_TRUE(full.ok()) << full.status();
    EXPECT_EQ(Read(*full, "password"), password) << dsn;
    EXPECT_EQ(Read(*full, "host"), "db");
    EXPECT_EQ(Read(*full, "port"), "6543");
    EXPECT_EQ(Read(*full, "dbname"), "my shop");
    EXPECT_EQ(Read(*full, "user"), "me");
    EXPECT_EQ(Read(*full, "sslmode"), "verify-full");
    EXPECT_EQ(Read(*full, "service"), "(none)");
  }
}

TEST(DsnPasswordTest, SeveralHostsStaySeveral) {
  const auto full = WithPassword("postgresql://a:1,b:2/shop?target_session_attrs=read-write", "x");
  ASSERT_TRUE(full.ok()) << full.status();
  EXPECT_EQ(Read(*full, "host"), "a,b");
  EXPECT_EQ(Read(*full, "port"), "1,2");
  EXPECT_EQ(Read(*full, "target_session_attrs"), "read-write");
}

TEST(DsnPasswordTest, AnErrorQuotesNothing) {
  const auto unreadable = WithPassword("host=db hunter2", "hunter3");
  ASSERT_FALSE(unreadable.ok());
  EXPECT_THAT(std::string(unreadable.status().message()), Not(HasSubstr("hunter")));
}

class PasswordFileTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& text, std::filesystem::perms perms = std::filesystem::perms::owner_read |
                                                                            std::filesystem::perms::owner_write) {
    std::filesystem::remove(path_);
    std::ofstream(path_) << text;
    std::filesystem::permissions(path_, perms);
    return path_.string();
  }
  std::string Refusal(const std::string& path) {
    return std::string(WithPasswordOf(path, "host=db").status().message());
  }

  const testing::ScratchDir scratch_{"password"};
  const std::filesystem::path path_ = scratch_.path() / "password";
};

TEST_F(PasswordFileTest, IsReadEachTime) {
  EXPECT_EQ(*WithPasswordOf("", "host=db"), "host=db");
  EXPECT_EQ(Read(*WithPasswordOf(Write("one\n"), "host=db"), "password"), "one");
  EXPECT_EQ(Read(*WithPasswordOf(Write("two"), "host=db"), "password"), "two");
  EXPECT_EQ(Read(*WithPasswordOf(Write(" with blanks \r\n"), "host=db"), "password"), " with blanks ");
}

TEST_F(PasswordFileTest, WhatIsWrongIsSaidWithoutTheSecret) {
  for (const std::string& text : {std::string(), std::string("\n"), std::string("hunter2\nhunter2\n"),
                                  std::string("hunter\0two", 10), std::string(5000, 'h')}) {
    const std::string path = Write(text);
    EXPECT_THAT(Refusal(path), HasSubstr(path)) << text.size();
    EXPECT_THAT(Refusal(path), HasSubstr("--postgres-password-file"));
    EXPECT_THAT(Refusal(path), Not(HasSubstr("hunter")));
    EXPECT_TRUE(absl::IsUnavailable(WithPasswordOf(path, "host=db").status()));
  }
  EXPECT_THAT(Refusal((scratch_.path() / "missing").string()), HasSubstr("No such file"));
  EXPECT_THAT(Refusal(scratch_.path().string()), HasSubstr("is not a file"));
  using std::filesystem::perms;
  EXPECT_THAT(Refusal(Write("hunter2", perms::owner_read | perms::others_read)), HasSubstr("chmod 600"));
}

// The rule of libpq for a private key.
TEST(SecretFileTest, WhoMayReadItBesidesItsOwner) {
  struct stat file = {};
  for (const auto& [owner, mode, open] : std::vector<std::tuple<uid_t, mode_t, bool>>{{1000, 0600, false},
                                                                                      {1000, 0400, false},
                                                                                      {1000, 0640, true},
                                                                                      {1000, 0604, true},
                                                                                      {0, 0640, false},
                                                                                      {0, 0660, true},
                                                                                      {0, 0644, true}}) {
    file.st_uid = owner;
    file.st_mode = S_IFREG | mode;
    EXPECT_EQ(IsOpenToOthers(file), open) << owner << " " << std::oct << mode;
  }
}

}  // namespace
}  // namespace tranche::storage
