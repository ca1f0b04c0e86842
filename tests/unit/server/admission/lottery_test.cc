#include "server/admission/lottery.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace tranche::server {
namespace {

std::string RoundKey() {
  std::string key;
  for (char byte = 0; byte < 32; ++byte) key.push_back(byte);
  return key;
}

// tests/scripts/test_verify_rank.py has the same.
TEST(LotteryTest, RanksAreThoseOfTheScript) {
  EXPECT_EQ(Rank(RoundKey(), "tv", 1, "alice"), 321476234449534394u);
  EXPECT_EQ(Rank(RoundKey(), "tv", 2, "alice"), 4263119479053859609u);
  EXPECT_EQ(Rank(RoundKey(), "*", 1, "alice"), 2926730063174215987u);
  EXPECT_EQ(Rank(RoundKey(), "tv", 1, "bob"), 10090665809342819140u);
  EXPECT_EQ(Rank(RoundKey(), "tv", 1, "J\u00fcrgen"), 3744473803517786751u);
  EXPECT_EQ(absl::BytesToHexString(Commitment(RoundKey())),
            "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd");
}

TEST(LotteryTest, AnotherKeyGivesAnotherRank) {
  std::string key = RoundKey();
  key[31] ^= 1;
  EXPECT_NE(Rank(key, "tv", 1, "alice"), Rank(RoundKey(), "tv", 1, "alice"));
}

// The sum of the squares of the deviations, in units of what is expected.
double ChiSquare(const std::array<int, 256>& counts, int total) {
  const double expected = static_cast<double>(total) / 256;
  double sum = 0;
  for (const int count : counts) sum += (count - expected) * (count - expected) / expected;
  return sum;
}

// The users differ as little as names do. Of 100 good hashes, one would fail; this one is always the same.
TEST(LotteryTest, RanksOfAMillionUsersAreEven) {
  constexpr int kUsers = 1'000'000;
  constexpr double kAtOnePercent = 310.47;  // of 255 degrees of freedom
  std::array<int, 256> by_first_byte = {};
  std::array<int, 256> by_last_byte = {};
  int admitted = 0;
  const std::string key = RoundKey();
  for (int i = 0; i < kUsers; ++i) {
    const uint64_t rank = Rank(key, "tv", 1, absl::StrCat("user-", i));
    ++by_first_byte[rank >> 56];
    ++by_last_byte[rank & 255];
    if (Admits(Threshold(100'000), rank)) ++admitted;
  }
  EXPECT_LT(ChiSquare(by_first_byte, kUsers), kAtOnePercent);
  EXPECT_LT(ChiSquare(by_last_byte, kUsers), kAtOnePercent);
  EXPECT_EQ(admitted, 99764) << "by the same computation in Python";
}

TEST(LotteryTest, ThresholdsAreRoundedDown) {
  EXPECT_EQ(Threshold(1), 18446744073709u);
  EXPECT_EQ(Threshold(100'000), 1844674407370955161u);
  EXPECT_EQ(Threshold(500'000), uint64_t{1} << 63);
  EXPECT_EQ(Threshold(999'999), 18446725626965477906u);
  EXPECT_EQ(Threshold(1'000'000), UINT64_MAX);
}

TEST(LotteryTest, WhatNoPolicyMayAskForIsNobodyOrEverybody) {
  EXPECT_EQ(Threshold(0), 0u);
  EXPECT_EQ(Threshold(-1), 0u);
  EXPECT_EQ(Threshold(1'000'001), UINT64_MAX);
}

TEST(LotteryTest, AThresholdGrowsWithTheFraction) {
  uint64_t before = 0;
  for (int32_t per_million = 1; per_million <= 1'000'000; ++per_million) {
    const uint64_t threshold = Threshold(per_million);
    ASSERT_GT(threshold, before) << per_million;
    before = threshold;
  }
}

TEST(LotteryTest, WhoeverIsBelowIsAdmittedAndEverybodyIsEverybody) {
  EXPECT_TRUE(Admits(1000, 999));
  EXPECT_FALSE(Admits(1000, 1000));
  EXPECT_FALSE(Admits(Threshold(0), 0));
  EXPECT_TRUE(Admits(Threshold(1'000'000), UINT64_MAX));
  EXPECT_FALSE(Admits(Threshold(999'999), UINT64_MAX));
}

}  // namespace
}  // namespace tranche::server
