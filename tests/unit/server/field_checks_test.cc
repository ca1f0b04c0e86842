#include "server/handlers/field_checks.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/unit/server/error_matchers.h"

namespace tranche::server {
namespace {

TEST(FieldChecksTest, PurchaseTokensHaveALimitedLength) {
  EXPECT_TRUE(CheckPurchaseToken("").ok());
  EXPECT_TRUE(CheckPurchaseToken(std::string(512, 't')).ok());
  const absl::Status error = CheckPurchaseToken(std::string(513, 't'), "lines[3].purchase_token");
  EXPECT_EQ(ReasonOf(error), "FIELD_INVALID");
  EXPECT_EQ(MetadataOf(error, "field"), "lines[3].purchase_token");
}

TEST(FieldChecksTest, ABuyersAddressIsAnAddressAloneOrAbsent) {
  for (const char* good :
       {"", "203.0.113.7", "::ffff:203.0.113.7", "2001:DB8::7", "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255"}) {
    EXPECT_TRUE(CheckBuyerAddress(good).ok()) << good;
  }
  for (const char* bad : {" ", "alice", "203.0.113.7:80", "203.0.113.07", "[::1]", "::1%eth0", "203.0.113.0/24",
                          "203.0.113.7, 198.51.100.1", "203.0.113.7\n"}) {
    const absl::Status error = CheckBuyerAddress(bad);
    EXPECT_EQ(ReasonOf(error), "FIELD_INVALID") << bad;
    EXPECT_EQ(MetadataOf(error, "field"), "buyer_address") << bad;
  }
  EXPECT_EQ(ReasonOf(CheckBuyerAddress(std::string(5000, '1'))), "FIELD_INVALID");
  EXPECT_EQ(ReasonOf(CheckBuyerAddress(absl::string_view("203.0.113.7\0", 12))), "FIELD_INVALID");
  EXPECT_EQ(MetadataOf(CheckBuyerAddress("alice", "address"), "field"), "address");
}

TEST(FieldChecksTest, SkuIds) {
  EXPECT_TRUE(IsSkuId("tv"));
  EXPECT_TRUE(IsSkuId("A-z_0.9"));
  EXPECT_TRUE(IsSkuId(std::string(64, 'x')));
  EXPECT_FALSE(IsSkuId(""));
  EXPECT_FALSE(IsSkuId(std::string(65, 'x')));
  for (const char* bad : {"a/b", "a b", "a\n", "\xc3\xa4", "a:b", ".", ".."}) EXPECT_FALSE(IsSkuId(bad)) << bad;
  EXPECT_FALSE(IsSkuId(absl::string_view("a\0b", 3)));
}

TEST(FieldChecksTest, UserIdsAreUtf8WithoutControlCharacters) {
  EXPECT_TRUE(IsUserId("user 1@example.com"));
  EXPECT_TRUE(IsUserId("J\xc3\xbcrgen"));
  EXPECT_TRUE(IsUserId("\xe6\xbc\xa2\xf0\x9f\x98\x80"));
  EXPECT_TRUE(IsUserId(std::string(128, 'u')));
  EXPECT_FALSE(IsUserId(""));
  EXPECT_FALSE(IsUserId(std::string(129, 'u')));
  EXPECT_FALSE(IsUserId("a\tb"));
  EXPECT_FALSE(IsUserId("a\x7f"));
  EXPECT_FALSE(IsUserId(absl::string_view("a\0b", 3)));
}

TEST(FieldChecksTest, BuyersLookDifferent) {
  EXPECT_TRUE(IsVisibleUtf8("user 1@example.com"));
  EXPECT_TRUE(IsVisibleUtf8("J\xc3\xbcrgen"));
  EXPECT_TRUE(IsVisibleUtf8("\xe6\xbc\xa2\xf0\x9f\x98\x80"));
  EXPECT_FALSE(IsVisibleUtf8(""));
  EXPECT_FALSE(IsVisibleUtf8(" "));
  EXPECT_FALSE(IsVisibleUtf8("\xc2\xa0\xe3\x80\x80"));  // U+00A0, U+3000
  for (const char* invisible : {"\xe2\x80\x8d", "\xe2\x80\xae", "\xef\xbb\xbf", "\xc2\xad", "\xef\xb8\x8f",
                                "\xe3\x85\xa4", "\xe2\xa0\x80", "\xf3\xa0\x81\xa1"}) {
    EXPECT_FALSE(IsVisibleUtf8(invisible));
    EXPECT_FALSE(IsVisibleUtf8(absl::StrCat("alice", invisible)));
    EXPECT_TRUE(IsPlainUtf8(invisible)) << "to be listed, if an earlier version let it in";
  }
  EXPECT_FALSE(IsVisibleUtf8("alice\x07"));
}

TEST(HasDirectionMarksTest, FindsThem) {
  for (const char* mark :
       {"\xd8\x9c", "\xe2\x80\x8e", "\xe2\x80\x8f", "\xe2\x80\xaa", "\xe2\x80\xae", "\xe2\x81\xa6", "\xe2\x81\xa9"}) {
    EXPECT_TRUE(HasDirectionMarks(absl::StrCat("a", mark)));
  }
  for (const char* text : {"", "plain", "J\xc3\xbcrgen", "\xe2\x80\x8d", "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d"}) {
    EXPECT_FALSE(HasDirectionMarks(text)) << text;
  }
}

TEST(FieldChecksTest, MalformedUtf8IsRefused) {
  EXPECT_FALSE(IsPlainUtf8("\x80"));              // a continuation byte alone
  EXPECT_FALSE(IsPlainUtf8("\xc3"));              // cut off
  EXPECT_FALSE(IsPlainUtf8("\xe2\x82"));          // cut off
  EXPECT_FALSE(IsPlainUtf8("\xc0\xaf"));          // overlong
  EXPECT_FALSE(IsPlainUtf8("\xe0\x80\xaf"));      // overlong
  EXPECT_FALSE(IsPlainUtf8("\xed\xa0\x80"));      // surrogate
  EXPECT_FALSE(IsPlainUtf8("\xf4\x90\x80\x80"));  // past U+10FFFF
  EXPECT_FALSE(IsPlainUtf8("\xc2\x85"));          // U+0085, a control character
  EXPECT_TRUE(IsPlainUtf8("\xc2\xa0"));           // U+00A0, the first that is not
  EXPECT_TRUE(IsPlainUtf8("\xf4\x8f\xbf\xbf"));   // U+10FFFF
}

TEST(FieldChecksTest, PageSizesAreLoweredAndNeverNegative) {
  EXPECT_EQ(*CheckPageSize(0), 100);
  EXPECT_EQ(*CheckPageSize(1), 1);
  EXPECT_EQ(*CheckPageSize(100000), 1000);
  EXPECT_EQ(ReasonOf(CheckPageSize(-1).status()), "FIELD_INVALID");
}

TEST(FieldChecksTest, PageTokensComeBackAndNothingElseIsOne) {
  EXPECT_EQ(*DecodePageToken(""), "");
  EXPECT_EQ(*DecodePageToken(EncodePageToken("sku-17")), "sku-17");
  EXPECT_EQ(*DecodePageToken(EncodePageToken("/slices/4/tv")), "/slices/4/tv");
  EXPECT_EQ(ReasonOf(DecodePageToken("sku-17").status()), "FIELD_INVALID");
  EXPECT_EQ(ReasonOf(DecodePageToken("!!").status()), "FIELD_INVALID");
  EXPECT_EQ(MetadataOf(DecodePageToken("!!").status(), "field"), "page_token");
}

}  // namespace
}  // namespace tranche::server
