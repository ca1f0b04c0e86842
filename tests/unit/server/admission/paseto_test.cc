#include "server/admission/paseto.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace tranche::server {
namespace {

using ::testing::Optional;

// The key of the standard's vectors.
std::string VectorKey() {
  return absl::HexStringToBytes("707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f");
}

// v4.json of https://github.com/paseto-standard/test-vectors, commit 32d74065: those of v4.local that must work ...
struct GoodVector {
  const char* name;
  const char* nonce;
  const char* token;
  const char* message;
  const char* footer;
  const char* assertion;
};
constexpr GoodVector kGoodVectors[] = {
    {"4-E-1", "0000000000000000000000000000000000000000000000000000000000000000",
     "v4.local.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQAr68PS4AXe7If_ZgesdkUMvSwscFlAl1pk5HC0e8kApeaqM"
     "fGo_7OpBnwJOAbY9V7WU6abu74MmcUE8YWAiaArVI8XJ5hOb_4v9RmDkneN0S92dx0OW4pgy7omxgf3S8c3LlQg",
     R"({"data":"this is a secret message","exp":"2022-01-01T00:00:00+00:00"})", "", ""},
    {"4-E-2", "0000000000000000000000000000000000000000000000000000000000000000",
     "v4.local.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQAr68PS4AXe7If_ZgesdkUMvS2csCgglvpk5HC0e8kApeaqM"
     "fGo_7OpBnwJOAbY9V7WU6abu74MmcUE8YWAiaArVI8XIemu9chy3WVKvRBfg6t8wwYHK0ArLxxfZP73W_vfwt5A",
     R"({"data":"this is a hidden message","exp":"2022-01-01T00:00:00+00:00"})", "", ""},
    {"4-E-3", "df654812bac492663825520ba2f6e67cf5ca5bdc13d4e7507a98cc4c2fcc3ad8",
     "v4.local.32VIErrEkmY4JVILovbmfPXKW9wT1OdQepjMTC_MOtjA4kiqw7_tcaOM5GNEcnTxl60WkwMsYXw6FSNb_UdJPXjpzm0"
     "KW9ojM5f4O2mRvE2IcweP-PRdoHjd5-RHCiExR1IK6t6-tyebyWG6Ov7kKvBdkrrAJ837lKP3iDag2hzUPHuMKA",
     R"({"data":"this is a secret message","exp":"2022-01-01T00:00:00+00:00"})", "", ""},
    {"4-E-4", "df654812bac492663825520ba2f6e67cf5ca5bdc13d4e7507a98cc4c2fcc3ad8",
     "v4.local.32VIErrEkmY4JVILovbmfPXKW9wT1OdQepjMTC_MOtjA4kiqw7_tcaOM5GNEcnTxl60WiA8rd3wgFSNb_UdJPXjpzm0"
     "KW9ojM5f4O2mRvE2IcweP-PRdoHjd5-RHCiExR1IK6t4gt6TiLm55vIH8c_lGxxZpE3AWlH4WTR0v45nsWoU3gQ",
     R"({"data":"this is a hidden message","exp":"2022-01-01T00:00:00+00:00"})", "", ""},
    {"4-E-5", "df654812bac492663825520ba2f6e67cf5ca5bdc13d4e7507a98cc4c2fcc3ad8",
     "v4.local.32VIErrEkmY4JVILovbmfPXKW9wT1OdQepjMTC_MOtjA4kiqw7_tcaOM5GNEcnTxl60WkwMsYXw6FSNb_UdJPXjpzm0"
     "KW9ojM5f4O2mRvE2IcweP-PRdoHjd5-RHCiExR1IK6t4x-RMNXtQNbz7FvFZ_G-lFpk5RG3EOrwDL6CgDqcerSQ.eyJraWQiOiJ6"
     "VmhNaVBCUDlmUmYyc25FY1Q3Z0ZUaW9lQTlDT2NOeTlEZmdMMVc2MGhhTiJ9",
     R"({"data":"this is a secret message","exp":"2022-01-01T00:00:00+00:00"})",
     R"({"kid":"zVhMiPBP9fRf2snEcT7gFTioeA9COcNy9DfgL1W60haN"})", ""},
    {"4-E-6", "df654812bac492663825520ba2f6e67cf5ca5bdc13d4e7507a98cc4c2fcc3ad8",
     "v4.local.32VIErrEkmY4JVILovbmfPXKW9wT1OdQepjMTC_MOtjA4kiqw7_tcaOM5GNEcnTxl60WiA8rd3wgFSNb_UdJPXjpzm0"
     "KW9ojM5f4O2mRvE2IcweP-PRdoHjd5-RHCiExR1IK6t6pWSA5HX2wjb3P-xLQg5K5feUCX4P2fpVK3ZLWFbMSxQ.eyJraWQiOiJ6"
     "VmhNaVBCUDlmUmYyc25FY1Q3Z0ZUaW9lQTlDT2NOeTlEZmdMMVc2MGhhTiJ9",
     R"({"data":"this is a hidden message","exp":"2022-01-01T00:00:00+00:00"})",
     R"({"kid":"zVhMiPBP9fRf2snEcT7gFTioeA9COcNy9DfgL1W60haN"})", ""},
    {"4-E-7", "df654812bac492663825520ba2f6e67cf5ca5bdc13d4e7507a98cc4c2fcc3ad8",
     "v4.local.32VIErrEkmY4JVILovbmfPXKW9wT1OdQepjMTC_MOtjA4kiqw7_tcaOM5GNEcnTxl60WkwMsYXw6FSNb_UdJPXjpzm0"
     "KW9ojM5f4O2mRvE2IcweP-PRdoHjd5-RHCiExR1IK6t40KCCWLA7GYL9KFHzKlwY9_RnIfRrMQpueydLEAZGGcA.eyJraWQiOiJ6"
     "VmhNaVBCUDlmUmYyc25FY1Q3Z0ZUaW9lQTlDT2NOeTlEZmdMMVc2MGhhTiJ9",
     R"({"data":"this is a secret message","exp":"2022-01-01T00:00:00+00:00"})",
     R"({"kid":"zVhMiPBP9fRf2snEcT7gFTioeA9COcNy9DfgL1W60haN"})", R"({"test-vector":"4-E-7"})"},
    {"4-E-8", "df654812bac492663825520ba2f6e67cf5ca5bdc13d4e7507a98cc4c2fcc3ad8",
     "v4.local.32VIErrEkmY4JVILovbmfPXKW9wT1OdQepjMTC_MOtjA4kiqw7_tcaOM5GNEcnTxl60WiA8rd3wgFSNb_UdJPXjpzm0"
     "KW9ojM5f4O2mRvE2IcweP-PRdoHjd5-RHCiExR1IK6t5uvqQbMGlLLNYBc7A6_x7oqnpUK5WLvj24eE4DVPDZjw.eyJraWQiOiJ6"
     "VmhNaVBCUDlmUmYyc25FY1Q3Z0ZUaW9lQTlDT2NOeTlEZmdMMVc2MGhhTiJ9",
     R"({"data":"this is a hidden message","exp":"2022-01-01T00:00:00+00:00"})",
     R"({"kid":"zVhMiPBP9fRf2snEcT7gFTioeA9COcNy9DfgL1W60haN"})", R"({"test-vector":"4-E-8"})"},
    {"4-E-9", "df654812bac492663825520ba2f6e67cf5ca5bdc13d4e7507a98cc4c2fcc3ad8",
     "v4.local.32VIErrEkmY4JVILovbmfPXKW9wT1OdQepjMTC_MOtjA4kiqw7_tcaOM5GNEcnTxl60WiA8rd3wgFSNb_UdJPXjpzm0"
     "KW9ojM5f4O2mRvE2IcweP-PRdoHjd5-RHCiExR1IK6t6tybdlmnMwcDMw0YxA_gFSE_IUWl78aMtOepFYSWYfQA.YXJiaXRyYXJ5"
     "LXN0cmluZy10aGF0LWlzbid0LWpzb24",
     R"({"data":"this is a hidden message","exp":"2022-01-01T00:00:00+00:00"})", R"(arbitrary-string-that-isn't-json)",
     R"({"test-vector":"4-E-9"})"},
};

// ... and those that must not.
struct BadVector {
  const char* name;
  const char* token;
  const char* assertion;
};
constexpr BadVector kBadVectors[] = {
    {"4-F-2",
     "v4.public.eyJpbnZhbGlkIjoidGhpcyBzaG91bGQgbmV2ZXIgZGVjb2RlIn22Sp4gjCaUw0c7EH84ZSm_jN_Qr41MrgLNu5LIBC"
     "zUr1pn3Z-Wukg9h3ceplWigpoHaTLcwxj0NsI1vjTh67YB.eyJraWQiOiJ6VmhNaVBCUDlmUmYyc25FY1Q3Z0ZUaW9lQTlDT2NOe"
     "TlEZmdMMVc2MGhhTiJ9",
     R"({"test-vector":"4-F-2"})"},
    {"4-F-3",
     "v3.local.23e_2PiqpQBPvRFKzB0zHhjmxK3sKo2grFZRRLM-U7L0a8uHxuF9RlVz3Ic6WmdUUWTxCaYycwWV1yM8gKbZB2JhygD"
     "MKvHQ7eBf8GtF0r3K0Q_gF1PXOxcOgztak1eD1dPe9rLVMSgR0nHJXeIGYVuVrVoLWQ.YXJiaXRyYXJ5LXN0cmluZy10aGF0LWlz"
     "bid0LWpzb24",
     R"({"test-vector":"4-F-3"})"},
    {"4-F-4",
     "v4.local.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQAr68PS4AXe7If_ZgesdkUMvSwscFlAl1pk5HC0e8kApeaqM"
     "fGo_7OpBnwJOAbY9V7WU6abu74MmcUE8YWAiaArVI8XJ5hOb_4v9RmDkneN0S92dx0OW4pgy7omxgf3S8c3LlQh",
     ""},
    {"4-F-5",
     "v4.local.32VIErrEkmY4JVILovbmfPXKW9wT1OdQepjMTC_MOtjA4kiqw7_tcaOM5GNEcnTxl60WkwMsYXw6FSNb_UdJPXjpzm0"
     "KW9ojM5f4O2mRvE2IcweP-PRdoHjd5-RHCiExR1IK6t4x-RMNXtQNbz7FvFZ_G-lFpk5RG3EOrwDL6CgDqcerSQ==.eyJraWQiOi"
     "J6VmhNaVBCUDlmUmYyc25FY1Q3Z0ZUaW9lQTlDT2NOeTlEZmdMMVc2MGhhTiJ9",
     ""},
};

TEST(PasetoTest, SealsAsTheStandardsVectorsDo) {
  for (const GoodVector& it : kGoodVectors) {
    EXPECT_EQ(SealPasetoWithNonce(VectorKey(), absl::HexStringToBytes(it.nonce), it.message, it.footer, it.assertion),
              it.token)
        << it.name;
  }
}

TEST(PasetoTest, OpensTheStandardsVectors) {
  for (const GoodVector& it : kGoodVectors) {
    EXPECT_THAT(OpenPaseto(VectorKey(), it.token, it.assertion), Optional(std::string(it.message))) << it.name;
    EXPECT_THAT(PasetoFooter(it.token), Optional(std::string(it.footer))) << it.name;
  }
}

TEST(PasetoTest, RefusesTheStandardsVectorsThatMustFail) {
  for (const BadVector& it : kBadVectors) {
    EXPECT_EQ(OpenPaseto(VectorKey(), it.token, it.assertion), std::nullopt) << it.name;
  }
}

TEST(PasetoTest, AnotherKeyOrAssertionOpensNothing) {
  const std::string token = SealPaseto(VectorKey(), "message", "footer", "assertion");
  ASSERT_THAT(OpenPaseto(VectorKey(), token, "assertion"), Optional(std::string("message")));
  EXPECT_EQ(OpenPaseto(VectorKey(), token, "another"), std::nullopt);
  EXPECT_EQ(OpenPaseto(VectorKey(), token, ""), std::nullopt);
  std::string key = VectorKey();
  key[0] ^= 1;
  EXPECT_EQ(OpenPaseto(key, token, "assertion"), std::nullopt);
}

TEST(PasetoTest, AByteCannotMoveFromFooterToAssertion) {
  const std::string token = SealPaseto(VectorKey(), "message", "ab", "c");
  const std::string moved = absl::StrCat(token.substr(0, token.rfind('.') + 1), absl::WebSafeBase64Escape("a"));
  EXPECT_EQ(OpenPaseto(VectorKey(), moved, "bc"), std::nullopt);
}

TEST(PasetoTest, AnyChangedCharacterIsNoticed) {
  const std::string token = SealPaseto(VectorKey(), "message", "footer", "");
  for (size_t at = 0; at < token.size(); ++at) {
    for (const char other : std::string("AB-_+/=. z9")) {
      if (token[at] == other) continue;
      std::string altered = token;
      altered[at] = other;
      EXPECT_EQ(OpenPaseto(VectorKey(), altered, ""), std::nullopt) << at << " " << other;
    }
  }
}

TEST(PasetoTest, ATokenHasOneForm) {
  const std::string token = SealPaseto(VectorKey(), "message", "", "");
  const std::vector<std::string> others = {absl::StrCat(token, "."), absl::StrCat(token, "="),
                                           absl::StrCat(token, "\n"), absl::StrCat(" ", token),
                                           absl::StrCat(token, "..")};
  for (const std::string& other : others) {
    EXPECT_EQ(OpenPaseto(VectorKey(), other, ""), std::nullopt) << other;
    EXPECT_EQ(PasetoFooter(other), std::nullopt) << other;
  }
  // Two bytes in three characters leave two bits that say nothing.
  const std::string with_footer = SealPaseto(VectorKey(), "message", "ab", "");
  ASSERT_EQ(with_footer.substr(with_footer.rfind('.')), ".YWI");
  for (const char last : {'J', 'K', 'L'}) {
    std::string other = with_footer;
    other.back() = last;
    EXPECT_EQ(PasetoFooter(other), std::nullopt) << other;
  }
}

TEST(PasetoTest, WhatIsNoTokenHasNoFooter) {
  for (const char* text : {"", ".", "v4.local", "v4.local.", "v4.local..", "v4.local.AAAA", "v4.local.AAAA.AAAA",
                           "v4.public.AAAA", "V4.LOCAL.AAAA", "v4.local.AAAA.AAAA.AAAA"}) {
    EXPECT_EQ(PasetoFooter(text), std::nullopt) << text;
    EXPECT_EQ(OpenPaseto(VectorKey(), text, ""), std::nullopt) << text;
  }
}

TEST(PasetoTest, AnEmptyMessageIsOne) {
  EXPECT_THAT(OpenPaseto(VectorKey(), SealPaseto(VectorKey(), "", "", ""), ""), Optional(std::string()));
}

TEST(PasetoTest, EachTokenHasANonceOfItsOwn) {
  EXPECT_NE(SealPaseto(VectorKey(), "message", "", ""), SealPaseto(VectorKey(), "message", "", ""));
}

}  // namespace
}  // namespace tranche::server
