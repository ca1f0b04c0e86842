#include "storage/base/token_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/scratch_dir.h"

namespace tranche {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class TokenFileTest : public ::testing::Test {
 protected:
  std::string path() const { return scratch_.path() / "token"; }
  void Write(const std::string& contents) const {
    std::ofstream(path(), std::ios::trunc) << contents;
    std::filesystem::permissions(path(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  }
  std::string Fault(const std::string& contents) const {
    Write(contents);
    return std::string(ReadToken(path()).status().message());
  }

  testing::ScratchDir scratch_{"token-file"};
};

TEST_F(TokenFileTest, IsOneLine) {
  Write("abc.DEF-123=\r\n");
  EXPECT_EQ(ReadToken(path()).value_or(""), "abc.DEF-123=");
  Write(std::string(4095, 'x') + "\n");
  EXPECT_EQ(ReadToken(path()).value_or("").size(), 4095u);
}

TEST_F(TokenFileTest, WhatIsNoTokenIsNotShown) {
  EXPECT_THAT(Fault(""), HasSubstr("is empty"));
  for (const std::string& secret : {std::string("hidden one"), std::string("hidden\none"), std::string("hidd\x01n"),
                                    std::string("hidd\xc3\xa9n"), "hidden" + std::string(4096, 'x')}) {
    const std::string fault = Fault(secret);
    EXPECT_THAT(fault, AnyOf(HasSubstr("one line"), HasSubstr("larger than")));
    EXPECT_THAT(fault, Not(HasSubstr("hidd")));
  }
}

TEST_F(TokenFileTest, AFileThatOthersMayReadIsRefused) {
  Write("token");
  std::filesystem::permissions(path(), std::filesystem::perms::others_read, std::filesystem::perm_options::add);
  EXPECT_THAT(std::string(ReadToken(path()).status().message()), HasSubstr("chmod 600"));
  EXPECT_THAT(std::string(ReadToken(scratch_.path()).status().message()), HasSubstr("not a file"));
  EXPECT_THAT(std::string(ReadToken(scratch_.path() / "none").status().message()), HasSubstr("cannot open"));
}

TEST_F(TokenFileTest, ANewTokenIsTakenAndAFaultyOneIsToldOnce) {
  Write("first");
  std::vector<std::string> faults, news;
  const auto file = TokenFile::Open(
      path(), {.tell = [&](bool fault, const std::string& line) { (fault ? faults : news).push_back(line); },
               .look_every = absl::ZeroDuration()});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(*(*file)->Current(), "first");
  Write("second");
  EXPECT_EQ(*(*file)->Current(), "second");
  std::filesystem::remove(path());
  EXPECT_EQ(*(*file)->Current(), "second");
  EXPECT_EQ(*(*file)->Current(), "second");
  EXPECT_THAT(faults, ElementsAre(HasSubstr("cannot open")));
  EXPECT_THAT(news, ElementsAre(Not(HasSubstr("second"))));
  Write("third");
  EXPECT_EQ(*(*file)->Current(), "third");
}

// It may block, or itself call somebody who needs the token.
TEST_F(TokenFileTest, TellsWithoutALock) {
  Write("first");
  std::unique_ptr<TokenFile> file;
  std::string seen;
  auto opened = TokenFile::Open(
      path(), {.tell = [&](bool, const std::string&) { std::thread([&] { seen = *file->Current(); }).join(); },
               .look_every = absl::Milliseconds(1)});
  ASSERT_TRUE(opened.ok()) << opened.status();
  file = *std::move(opened);
  Write("second");
  while (*file->Current() == "first") {
  }
  EXPECT_EQ(seen, "second");
}

TEST_F(TokenFileTest, IsLookedAtNowAndThen) {
  Write("first");
  const auto file = TokenFile::Open(path(), {.look_every = absl::Hours(1)});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(*(*file)->Current(), "first") << "looks";
  Write("second");
  EXPECT_EQ(*(*file)->Current(), "first");
}

}  // namespace
}  // namespace tranche
