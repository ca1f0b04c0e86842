#include "storage/base/certificate_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/test_certificates.h"

namespace tranche {
namespace {

using ::testing::AllOf;
using testing::CertificateRequest;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IssuedCertificate;
using ::testing::Not;
using testing::ReplaceFile;
using testing::TestAuthority;

class CertificateFilesTest : public ::testing::Test {
 protected:
  CertificateFilesTest() {
    Write(authority_.Issue());
    ReplaceFile(paths_.authorities, authority_.certificate_pem());
  }

  void Write(const IssuedCertificate& issued) {
    ReplaceFile(paths_.certificate, issued.certificate_pem);
    ReplaceFile(paths_.key, issued.key_pem);
  }
  // Looks at the files at every call, and notes what it is told.
  std::unique_ptr<CertificateFiles> Open() {
    auto files = CertificateFiles::Open(
        paths_, {.tell = [this](bool fault, const std::string& line) { (fault ? faults_ : taken_).push_back(line); },
                 .look_every = absl::ZeroDuration()});
    EXPECT_TRUE(files.ok()) << files.status();
    return files.ok() ? *std::move(files) : nullptr;
  }
  std::string FaultOf(const CertificatePaths& paths) const {
    return std::string(ReadCertificates(paths).status().message());
  }

  const testing::ScratchDir scratch_{"certificates"};
  const CertificatePaths paths_{(scratch_.path() / "node.crt").string(), (scratch_.path() / "node.key").string(),
                                (scratch_.path() / "ca.crt").string()};
  const TestAuthority authority_;
  std::vector<std::string> taken_;
  std::vector<std::string> faults_;
};

TEST_F(CertificateFilesTest, ReadsAWholeSetAndTellsWhenItExpires) {
  const auto read = ReadCertificates(paths_);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->authorities_pem, authority_.certificate_pem());
  EXPECT_THAT(read->key_pem, HasSubstr("PRIVATE KEY"));
  EXPECT_LT(absl::AbsDuration(read->expires_at - (absl::Now() + absl::Hours(24))), absl::Minutes(10));
}

TEST_F(CertificateFilesTest, NothingAndAuthoritiesAloneAreSets) {
  const auto nothing = ReadCertificates({});
  ASSERT_TRUE(nothing.ok());
  EXPECT_EQ(nothing->expires_at, absl::InfiniteFuture());
  EXPECT_TRUE(ReadCertificates({.authorities = paths_.authorities}).ok());
  EXPECT_THAT(FaultOf({.certificate = paths_.certificate}), HasSubstr("without a key"));
  EXPECT_THAT(FaultOf({.key = paths_.key}), HasSubstr("without a certificate"));
}

TEST_F(CertificateFilesTest, OfAChainTheFirstToExpireCounts) {
  const IssuedCertificate own = authority_.Issue();
  const IssuedCertificate next = authority_.Issue({.valid_for = absl::Hours(2)});
  ReplaceFile(paths_.certificate, own.certificate_pem + next.certificate_pem);
  ReplaceFile(paths_.key, own.key_pem);
  const auto read = ReadCertificates(paths_);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_LT(read->expires_at, absl::Now() + absl::Hours(3));
}

TEST_F(CertificateFilesTest, WhatHasExpiredIsReadAndSaysSo) {
  Write(authority_.Issue({.valid_for = -absl::Hours(1)}));
  const auto read = ReadCertificates(paths_);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_LT(read->expires_at, absl::Now());
}

TEST_F(CertificateFilesTest, FaultsNameTheFileAndNotItsContents) {
  const auto names = [](const std::string& path) {
    return AllOf(HasSubstr(path), Not(HasSubstr("SECRET")), Not(HasSubstr("\n")));
  };
  ReplaceFile(paths_.key, "SECRET");
  EXPECT_THAT(FaultOf(paths_), names(paths_.key));
  ReplaceFile(paths_.key, authority_.Issue().key_pem);
  EXPECT_THAT(FaultOf(paths_), AllOf(names(paths_.key), HasSubstr("is not the key of")));
  ReplaceFile(paths_.certificate, "SECRET");
  EXPECT_THAT(FaultOf(paths_), AllOf(names(paths_.certificate), HasSubstr("no certificate")));
  const std::string whole = authority_.Issue().certificate_pem;
  ReplaceFile(paths_.certificate, whole + whole.substr(0, whole.size() / 2));
  EXPECT_THAT(FaultOf(paths_), names(paths_.certificate));
  ReplaceFile(paths_.certificate, std::string(kMostCertificateFileBytes + 1, 'x'));
  EXPECT_THAT(FaultOf(paths_), AllOf(names(paths_.certificate), HasSubstr("more than")));
  std::filesystem::remove(paths_.certificate);
  EXPECT_THAT(FaultOf(paths_), AllOf(names(paths_.certificate), HasSubstr("No such file")));
  std::filesystem::create_directory(paths_.certificate);
  EXPECT_THAT(FaultOf(paths_), names(paths_.certificate));
}

TEST_F(CertificateFilesTest, AKeyThatOthersMayReadIsRefused) {
  std::filesystem::permissions(paths_.certificate, std::filesystem::perms::others_read,
                               std::filesystem::perm_options::add);
  EXPECT_TRUE(ReadCertificates(paths_).ok()) << "everybody may read a certificate";
  std::filesystem::permissions(paths_.key, std::filesystem::perms::others_read, std::filesystem::perm_options::add);
  EXPECT_THAT(FaultOf(paths_), HasSubstr("chmod 600 " + paths_.key));
}

TEST_F(CertificateFilesTest, WhatOpenSslDoesNotTakeKeepsTheOldOne) {
  const auto files = Open();
  const auto old = files->Current();
  EXPECT_FALSE(files->faulty());
  Write(authority_.Issue({.weak = true}));
  EXPECT_EQ(files->Refresh(), old);
  EXPECT_TRUE(files->faulty());
  EXPECT_THAT(faults_, ElementsAre(HasSubstr("OpenSSL refuses " + paths_.certificate)));
  Write(authority_.Issue());
  EXPECT_NE(files->Refresh(), old);
  EXPECT_FALSE(files->faulty());
}

TEST_F(CertificateFilesTest, TakesANewSetAndSaysSoOnce) {
  const auto files = Open();
  const auto first = files->Refresh();
  EXPECT_EQ(files->Refresh(), first);
  const IssuedCertificate next = authority_.Issue({.name = "renewed"});
  Write(next);
  const auto second = files->Refresh();
  EXPECT_NE(second, first);
  EXPECT_EQ(second->certificate_pem, next.certificate_pem);
  EXPECT_EQ(files->Refresh(), second);
  EXPECT_THAT(taken_, ElementsAre(AllOf(HasSubstr("renewed"), HasSubstr("expires at"), Not(HasSubstr("BEGIN")))));
  EXPECT_THAT(faults_, IsEmpty());
  EXPECT_NE(first->certificate_pem, next.certificate_pem) << "who holds the old one keeps it";
}

TEST_F(CertificateFilesTest, HalfOfAPairKeepsTheOldOneAndIsToldOnce) {
  const auto files = Open();
  const auto old = files->Refresh();
  const IssuedCertificate next = authority_.Issue();
  ReplaceFile(paths_.certificate, next.certificate_pem);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(files->Refresh(), old);
  EXPECT_THAT(faults_, ElementsAre(HasSubstr("is not the key of")));
  // The key is written in place, piece by piece.
  std::ofstream(paths_.key, std::ios::binary) << next.key_pem.substr(0, 40);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(files->Refresh(), old);
  EXPECT_THAT(faults_, ElementsAre(HasSubstr("is not the key of"), HasSubstr("no readable private key")));
  std::ofstream(paths_.key, std::ios::binary) << next.key_pem;
  EXPECT_EQ(files->Refresh()->certificate_pem, next.certificate_pem);
  EXPECT_EQ(taken_.size(), 1);
}

TEST_F(CertificateFilesTest, AFaultThatComesAgainIsToldAgain) {
  const auto files = Open();
  const auto old = files->Refresh();
  const std::string whole = old->authorities_pem;
  for (size_t times = 1; times <= 2; ++times) {
    ReplaceFile(paths_.authorities, "nothing of use");
    EXPECT_EQ(files->Refresh(), old);
    EXPECT_EQ(faults_.size(), times);
    ReplaceFile(paths_.authorities, whole);
    EXPECT_EQ(files->Refresh(), old) << "the contents are the same";
  }
  EXPECT_THAT(taken_, IsEmpty());
}

TEST_F(CertificateFilesTest, WhoAsksForTheCurrentOnesTouchesNoFile) {
  const auto files = Open();
  const auto first = files->Current();
  Write(authority_.Issue());
  EXPECT_EQ(files->Current(), first);
  const auto second = files->Refresh();
  EXPECT_NE(second, first);
  EXPECT_EQ(files->Current(), second);
}

TEST_F(CertificateFilesTest, LooksAtMostOnceInAWhile) {
  auto files = CertificateFiles::Open(paths_, {.look_every = absl::Hours(1)});
  ASSERT_TRUE(files.ok());
  const auto first = (*files)->Refresh();
  Write(authority_.Issue());
  EXPECT_EQ((*files)->Refresh(), first);
}

}  // namespace
}  // namespace tranche
