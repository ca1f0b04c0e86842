#include "server/worker/signature.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace tranche::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// Computed with: printf '%s' '1700000000.{"a": 1}' | openssl dgst -sha256 -hmac SECRET
constexpr char kFirst[] = "8468e087e2900ea56e5fe17ab5589a150282bad216aa422518e85a9a53c4b8f2";
constexpr char kSecond[] = "ca57a4166c124ef52058524b0ea6b1f5a7b7efe87adee6fb99432717e5efbd40";

TEST(SignatureHeaderTest, IsWhatOpensslComputes) {
  EXPECT_EQ(SignatureHeader({"first-secret-of-the-test"}, 1700000000, R"({"a": 1})"),
            absl::StrCat("t=1700000000,v1=", kFirst));
}

TEST(SignatureHeaderTest, EachSecretSigns) {
  EXPECT_EQ(SignatureHeader({"first-secret-of-the-test", "second-secret-of-the-test"}, 1700000000, R"({"a": 1})"),
            absl::StrCat("t=1700000000,v1=", kFirst, ",v1=", kSecond));
}

class ReadSecretsTest : public ::testing::Test {
 protected:
  ~ReadSecretsTest() override { std::filesystem::remove(path_); }

  absl::StatusOr<std::vector<std::string>> Read(const std::string& text, mode_t mode = 0600) {
    std::ofstream(path_) << text;
    EXPECT_EQ(chmod(path_.c_str(), mode), 0);
    return ReadSecrets(path_);
  }

  const std::string path_ = std::filesystem::temp_directory_path() / absl::StrCat("tranche_secrets_test.", getpid());
};

TEST_F(ReadSecretsTest, OneALine) {
  EXPECT_THAT(*Read("first-secret-of-the-test\r\n\n  second-secret-of-the-test\n"),
              ElementsAre("first-secret-of-the-test", "second-secret-of-the-test"));
  EXPECT_TRUE(Read("first-secret-of-the-test", 0640).ok()) << "a group may read it";
}

TEST_F(ReadSecretsTest, AFileThatEverybodyMayOpenIsRefused) {
  for (const mode_t mode : {0604, 0602, 0644}) {
    const auto secrets = Read("first-secret-of-the-test\n", mode);
    EXPECT_EQ(secrets.status().code(), absl::StatusCode::kPermissionDenied);
    EXPECT_THAT(std::string(secrets.status().message()), HasSubstr("chmod 600 " + path_));
  }
}

TEST_F(ReadSecretsTest, WhatIsNoSecretIsRefusedAndNotTold) {
  const auto is_short = Read("first-secret-of-the-test\nhunter2\n");
  EXPECT_THAT(std::string(is_short.status().message()), HasSubstr("line 2"));
  EXPECT_THAT(std::string(is_short.status().message()), Not(HasSubstr("hunter2")));
  EXPECT_FALSE(Read("\n\n").ok());
  EXPECT_FALSE(Read(std::string(100000, 'x')).ok());
  EXPECT_FALSE(ReadSecrets("/nowhere/at/all").ok());
  EXPECT_FALSE(ReadSecrets("/tmp").ok());
}

}  // namespace
}  // namespace tranche::server
