#include "server/admission/room_rank.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"

namespace tranche::server {
namespace {

std::string ShufflingKey() {
  std::string key;
  for (char byte = 0; byte < 32; ++byte) key.push_back(byte);
  return key;
}

// tests/scripts/test_verify_rank.py has the same.
TEST(RoomRankTest, ShuffledRanksAreThoseOfTheScript) {
  EXPECT_EQ(ShuffledRank(ShufflingKey(), "tv", 1, "alice"), 160738117224767197u);
  EXPECT_EQ(ShuffledRank(ShufflingKey(), "tv", 2, "alice"), 2131559739526929804u);
  EXPECT_EQ(ShuffledRank(ShufflingKey(), "tv", 1, "bob"), 5045332904671409570u);
  EXPECT_EQ(ShuffledRank(ShufflingKey(), "tv", 1, "J\u00fcrgen"), 1872236901758893375u);
}

// The sum of the squares of the deviations, in units of what is expected.
double ChiSquareOfRanks(const std::array<int, 256>& counts, int total) {
  const double expected = static_cast<double>(total) / 256;
  double sum = 0;
  for (const int count : counts) sum += (count - expected) * (count - expected) / expected;
  return sum;
}

// Of 100 good hashes, one would fail; this one is always the same.
TEST(RoomRankTest, ShuffledRanksOfAMillionBuyersAreEven) {
  constexpr int kBuyers = 1'000'000;
  constexpr double kAtOnePercent = 310.47;  // of 255 degrees of freedom
  std::array<int, 256> by_bucket = {};
  std::array<int, 256> by_last_byte = {};
  const std::string key = ShufflingKey();
  for (int i = 0; i < kBuyers; ++i) {
    const uint64_t rank = ShuffledRank(key, "tv", 1, absl::StrCat("user-", i));
    ASSERT_LT(rank, kFirstLateRank);
    ++by_bucket[rank >> 55];
    ++by_last_byte[rank & 255];
  }
  EXPECT_LT(ChiSquareOfRanks(by_bucket, kBuyers), kAtOnePercent);
  EXPECT_LT(ChiSquareOfRanks(by_last_byte, kBuyers), kAtOnePercent);
}

TEST(RoomRankTest, LateRanksAreInTheOrderOfComing) {
  const absl::Time opening = absl::FromUnixSeconds(1'800'000'000);
  uint64_t before = kFirstLateRank;
  for (int i = 0; i < 1'000; ++i) {
    const uint64_t rank = LateRank(opening + i * absl::Microseconds(1));
    ASSERT_GT(rank, before);
    before = rank;
  }
  EXPECT_EQ(LateRank(opening), kFirstLateRank + 1'800'000'000'000'000u);
  EXPECT_EQ(LateRank(opening + absl::Nanoseconds(999)), LateRank(opening)) << "a ticket keeps whole microseconds";
}

TEST(RoomRankTest, NoTimeGivesARankOfThoseWhoWereShuffled) {
  EXPECT_EQ(LateRank(absl::UnixEpoch()), kFirstLateRank);
  EXPECT_EQ(LateRank(absl::UnixEpoch() - absl::Nanoseconds(1)), kFirstLateRank);
  EXPECT_EQ(LateRank(absl::InfinitePast()), kFirstLateRank);
  EXPECT_EQ(LateRank(absl::InfiniteFuture()), UINT64_MAX);
}

}  // namespace
}  // namespace tranche::server
