#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/ctl/parse.h"

namespace tranche::ctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ParsePriceTest, KnowsTheCurrencysDecimals) {
  EXPECT_EQ(*ParsePriceMinor("19.99", "EUR"), 1999);
  EXPECT_EQ(*ParsePriceMinor("19.9", "EUR"), 1990);
  EXPECT_EQ(*ParsePriceMinor("19", "EUR"), 1900);
  EXPECT_EQ(*ParsePriceMinor("0", "EUR"), 0);
  EXPECT_EQ(*ParsePriceMinor("500", "JPY"), 500);
  EXPECT_EQ(*ParsePriceMinor("1.234", "KWD"), 1234);
}

TEST(ParsePriceTest, RefusesWhatIsNoPrice) {
  for (const char* text : {"", ".", ".5", "5.", "19.999", "-1", "1e3", "1,50", "12 ", "abc", "99999999999999999999"}) {
    EXPECT_FALSE(ParsePriceMinor(text, "EUR").ok()) << text;
  }
  EXPECT_FALSE(ParsePriceMinor("5.0", "JPY").ok());
  EXPECT_THAT(ParsePriceMinor("1,50", "EUR").status().message(), HasSubstr("with a point"));
}

TEST(FormatPriceTest, IsTheReverse) {
  EXPECT_EQ(FormatPrice(1999, "EUR"), "19.99 EUR");
  EXPECT_EQ(FormatPrice(5, "EUR"), "0.05 EUR");
  EXPECT_EQ(FormatPrice(500, "JPY"), "500 JPY");
  EXPECT_EQ(FormatPrice(1234, "KWD"), "1.234 KWD");
}

TEST(ParseDurationTest, NeedsAUnitAndAPositiveValue) {
  EXPECT_EQ(*ParseDuration("15m"), absl::Minutes(15));
  EXPECT_EQ(*ParseDuration("1h30m"), absl::Minutes(90));
  for (const char* text : {"", "15", "0s", "-5m", "inf", "soon"}) EXPECT_FALSE(ParseDuration(text).ok()) << text;
}

TEST(ParseDurationTest, WholeSecondsAreNotRounded) {
  EXPECT_EQ(*ParseWholeSeconds("1m30s"), 90);
  EXPECT_EQ(*ParseWholeSeconds("2000ms"), 2);
  for (const char* text : {"1500ms", "0.5s", "15"}) EXPECT_FALSE(ParseWholeSeconds(text).ok()) << text;
}

TEST(ParseEndpointsTest, TakesOneOrSeveral) {
  EXPECT_THAT(*ParseEndpoints("127.0.0.1:7400"), ElementsAre("127.0.0.1:7400"));
  EXPECT_THAT(*ParseEndpoints(" a:1, [::1]:2 ,"), ElementsAre("a:1", "[::1]:2"));
}

TEST(ParseEndpointsTest, SaysWhichOneIsWrong) {
  for (const char* text : {"", ",", "a", "a:", "a:0", "a:65536", "a:99999", "a:7400x", ":7400", "a:1,b"}) {
    EXPECT_FALSE(ParseEndpoints(text).ok()) << text;
  }
  EXPECT_THAT(ParseEndpoints("a:1,b:99999").status().message(), HasSubstr("\"b:99999\" is not HOST:PORT"));
  EXPECT_THAT(ParseEndpoints("http://a:7400").status().message(), HasSubstr("leave out http://"));
}

TEST(ParseWhenTest, IsATimeOrHowLongAgo) {
  const absl::Time now = absl::FromUnixSeconds(10'000);
  EXPECT_EQ(*ParseWhen("2h", now), now - absl::Hours(2));
  EXPECT_EQ(*ParseWhen("1970-01-01T00:00:01Z", now), absl::FromUnixSeconds(1));
  for (const char* text : {"", "yesterday", "-2h", "2"}) EXPECT_FALSE(ParseWhen(text, now).ok()) << text;
}

TEST(ParseReasonTest, IsOneLineOfTwoHundredCharacters) {
  EXPECT_TRUE(ParseReason("the price was wrong").ok());
  EXPECT_TRUE(ParseReason("").ok());
  EXPECT_TRUE(ParseReason("\xe2\x98\x8e\xef\xb8\x8f call \xe2\x81\xa5").ok());
  EXPECT_TRUE(ParseReason(std::string(200, 'x')).ok());
  EXPECT_FALSE(ParseReason(std::string(201, 'x')).ok());
  std::string umlauts;
  for (int i = 0; i < 200; ++i) umlauts += "\xc3\xb6";
  EXPECT_TRUE(ParseReason(umlauts).ok());
  EXPECT_FALSE(ParseReason(umlauts + "x").ok());
  for (const char* text :
       {"two\nlines", "\x7f", "\xff", "\xc3", "\xc2\x85", "\xe2\x82", "\xd8\x9c", "a\xe2\x80\xae", "\xe2\x81\xa6"})
    EXPECT_FALSE(ParseReason(text).ok());
}

TEST(ParseTimeTest, NeedsAZone) {
  EXPECT_EQ(*ParseTime("1970-01-01T01:00:01+01:00"), absl::FromUnixSeconds(1));
  EXPECT_FALSE(ParseTime("2026-11-27").ok());
  EXPECT_FALSE(ParseTime("2026-11-27T09:00:00").ok());
}

}  // namespace
}  // namespace tranche::ctl
