#include "server/admission/room_counts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "absl/time/time.h"
#include "server/admission/room_rank.h"

namespace tranche::server {
namespace {

constexpr uint64_t kShuffledWidth = uint64_t{1} << 55;
const absl::Time kCountsOpening = absl::FromUnixSeconds(1'800'000'000);
constexpr uint64_t kCountsSeeds = 200;

uint64_t LateAt(int64_t seconds) { return LateRank(kCountsOpening + absl::Seconds(seconds)); }

// Some buyers: shuffled ones, late ones, or both; the late ones come within a second up to some months.
std::vector<uint64_t> SomeRanks(std::mt19937_64& random) {
  const size_t buyers = random() % 400;
  const auto span_us = static_cast<uint64_t>(std::pow(10.0, 6 + static_cast<double>(random() % 8)));
  const uint64_t late_of_ten = random() % 11;
  std::vector<uint64_t> ranks;
  for (size_t i = 0; i < buyers; ++i) {
    const bool late = random() % 10 < late_of_ten;
    ranks.push_back(late ? LateAt(0) + random() % span_us : random() >> 1);
  }
  return ranks;
}

RoomCounts CountsOf(const std::vector<uint64_t>& ranks) {
  RoomCounts counts;
  for (const uint64_t rank : ranks) counts.Add(rank);
  return counts;
}

// Counted one by one.
double PlainBetween(const std::vector<uint64_t>& ranks, uint64_t from, uint64_t to) {
  return static_cast<double>(
      std::count_if(ranks.begin(), ranks.end(), [=](uint64_t rank) { return rank >= from && rank < to; }));
}

// Where a bucket begins, of those who are shuffled or of the late ones.
std::vector<uint64_t> BucketEdges(const RoomCounts& counts) {
  std::vector<uint64_t> edges;
  for (uint64_t i = 0; i <= RoomCounts::kShuffledBuckets; ++i) edges.push_back(i * kShuffledWidth);
  const internal::v1::RoomCounts message = counts.ToMessage();
  for (int i = 0; i <= message.late_size(); ++i) {
    const int64_t second = (message.late_first() + i) * message.late_width_s();
    edges.push_back(LateRank(absl::FromUnixSeconds(second)));
  }
  return edges;
}

double MostInOneBucket(const RoomCounts& counts) {
  const internal::v1::RoomCounts message = counts.ToMessage();
  uint32_t most = 0;
  for (const uint32_t buyers : message.shuffled()) most = std::max(most, buyers);
  for (const uint32_t buyers : message.late()) most = std::max(most, buyers);
  return most;
}

TEST(RoomCountsTest, NobodyIsNobody) {
  const RoomCounts counts;
  EXPECT_EQ(counts.total(), 0u);
  EXPECT_EQ(counts.Between(0, UINT64_MAX), 0);
  EXPECT_EQ(RoomCounts::FromMessage(counts.ToMessage()), counts);
  EXPECT_EQ(RoomCounts::FromMessage(internal::v1::RoomCounts()), counts);
}

TEST(RoomCountsTest, ShuffledOnesAreInTheBucketOfTheirFirstBits) {
  const internal::v1::RoomCounts message =
      CountsOf({0, kShuffledWidth - 1, kShuffledWidth, kFirstLateRank - 1}).ToMessage();
  ASSERT_EQ(message.shuffled_size(), RoomCounts::kShuffledBuckets);
  EXPECT_EQ(message.shuffled(0), 2u);
  EXPECT_EQ(message.shuffled(1), 1u);
  EXPECT_EQ(message.shuffled(255), 1u);
  EXPECT_EQ(message.late_size(), 0);
}

TEST(RoomCountsTest, BucketsGetWiderWhenTheyWouldBeTooMany) {
  RoomCounts counts;
  for (int64_t second = 0; second < 256; ++second) counts.Add(LateAt(second));
  EXPECT_EQ(counts.ToMessage().late_width_s(), 1);
  EXPECT_EQ(counts.ToMessage().late_size(), 256);
  EXPECT_EQ(counts.ToMessage().late_first(), absl::ToUnixSeconds(kCountsOpening));
  counts.Add(LateAt(256));
  EXPECT_EQ(counts.ToMessage().late_width_s(), 2);
  EXPECT_EQ(counts.ToMessage().late_size(), 129);
  EXPECT_EQ(counts.ToMessage().late(0), 2u);
  counts.Add(LateAt(-10'000));
  EXPECT_EQ(counts.late(), 258u);
  EXPECT_EQ(counts.Between(0, LateAt(-9'000)), 1);
}

TEST(RoomCountsTest, CountsWhatAPlainListCounts) {
  for (uint64_t seed = 1; seed <= kCountsSeeds; ++seed) {
    std::mt19937_64 random(seed);
    const std::vector<uint64_t> ranks = SomeRanks(random);
    const RoomCounts counts = CountsOf(ranks);
    EXPECT_EQ(counts.total(), ranks.size()) << seed;
    EXPECT_EQ(static_cast<double>(counts.shuffled()), PlainBetween(ranks, 0, kFirstLateRank)) << seed;
    EXPECT_LE(counts.ToMessage().late_size(), RoomCounts::kMostLateBuckets);
    // Exact from bucket to bucket, and wrong by no more than who is in the buckets at both ends elsewhere.
    const std::vector<uint64_t> edges = BucketEdges(counts);
    for (int i = 0; i < 50; ++i) {
      const uint64_t from = edges[random() % edges.size()];
      const uint64_t to = edges[random() % edges.size()];
      ASSERT_NEAR(counts.Between(from, to), PlainBetween(ranks, from, to), 1e-6) << seed;
      const uint64_t anywhere = random() >> (random() % 2);
      ASSERT_NEAR(counts.Between(anywhere, to), PlainBetween(ranks, anywhere, to), MostInOneBucket(counts)) << seed;
    }
  }
}

TEST(RoomCountsTest, SumsOfNodesAreThoseOfAllInWhateverOrder) {
  for (uint64_t seed = 1; seed <= kCountsSeeds; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<uint64_t> all;
    std::vector<RoomCounts> nodes;
    for (int node = 0; node < 4; ++node) {
      const std::vector<uint64_t> ranks = SomeRanks(random);
      all.insert(all.end(), ranks.begin(), ranks.end());
      nodes.push_back(CountsOf(ranks));
    }
    for (int turn = 0; turn < 4; ++turn) {
      RoomCounts sum;
      for (const RoomCounts& node : nodes) sum.Merge(node);
      ASSERT_EQ(sum, CountsOf(all)) << seed;
      std::shuffle(nodes.begin(), nodes.end(), random);
    }
  }
}

TEST(RoomCountsTest, BetweenOfNothingIsNobody) {
  const RoomCounts counts = CountsOf({1, 2, LateAt(3)});
  EXPECT_EQ(counts.Between(5, 5), 0);
  EXPECT_EQ(counts.Between(LateAt(9), 0), 0);
}

// By a clock that was wrong: 256 of the widest buckets are about a year.
TEST(RoomCountsTest, WhoIsOutOfReachIsStillCountedInOrder) {
  for (const bool early_first : {false, true}) {
    RoomCounts counts;
    if (early_first) counts.Add(LateRank(absl::UnixEpoch()));
    for (int64_t second = 0; second < 100; ++second) counts.Add(LateAt(second));
    if (!early_first) counts.Add(LateRank(absl::UnixEpoch()));
    EXPECT_EQ(counts.total(), 101u);
    EXPECT_LE(counts.ToMessage().late_size(), RoomCounts::kMostLateBuckets);
    const uint64_t end_of_first_late = BucketEdges(counts)[RoomCounts::kShuffledBuckets + 2];
    EXPECT_NEAR(counts.Between(0, end_of_first_late), 1, 1e-6);
    EXPECT_EQ(RoomCounts::FromMessage(counts.ToMessage()), counts);
  }
}

TEST(RoomCountsTest, TheHighestRankIsInTheLastBucket) {
  const RoomCounts counts = CountsOf({UINT64_MAX, LateRank(absl::InfiniteFuture())});
  EXPECT_EQ(counts.total(), 2u);
  EXPECT_GT(counts.Between(LateRank(absl::UnixEpoch()), UINT64_MAX), 0);
  EXPECT_EQ(RoomCounts::FromMessage(counts.ToMessage()), counts);
}

TEST(RoomCountsTest, TooManyStayTooMany) {
  RoomCounts counts;
  for (int i = 0; i < 2; ++i) {
    counts.Add(5, UINT64_MAX);
    counts.Add(kShuffledWidth, UINT64_MAX);
    counts.Add(LateAt(0), UINT64_MAX);
  }
  counts.Merge(counts);
  counts.Add(LateAt(1'000));
  EXPECT_EQ(counts.total(), UINT64_MAX);
  EXPECT_GT(counts.Between(0, UINT64_MAX), 3e19);
  const internal::v1::RoomCounts message = counts.ToMessage();
  EXPECT_EQ(message.shuffled(0), UINT32_MAX);
  EXPECT_EQ(message.late(0), UINT32_MAX);
}

TEST(RoomCountsTest, AMessageSaysAllOfIt) {
  for (uint64_t seed = 1; seed <= kCountsSeeds; ++seed) {
    std::mt19937_64 random(seed);
    const RoomCounts counts = CountsOf(SomeRanks(random));
    ASSERT_EQ(RoomCounts::FromMessage(counts.ToMessage()), counts) << seed;
  }
}

internal::v1::RoomCounts LateMessage(int size, int64_t first, int64_t width_s) {
  internal::v1::RoomCounts message;
  for (int i = 0; i < size; ++i) message.add_late(1);
  message.set_late_first(first);
  message.set_late_width_s(width_s);
  return message;
}

TEST(RoomCountsTest, AMessageOutOfBoundsIsNone) {
  constexpr int64_t kLastSecond = INT64_MAX / 1'000'000;
  ASSERT_TRUE(RoomCounts::FromMessage(LateMessage(256, 100, 4)).has_value());
  ASSERT_TRUE(RoomCounts::FromMessage(LateMessage(1, kLastSecond, 1)).has_value());
  ASSERT_TRUE(RoomCounts::FromMessage(LateMessage(3, 0, int64_t{1} << 17)).has_value());
  for (const internal::v1::RoomCounts& bad :
       {LateMessage(257, 100, 4), LateMessage(1, -1, 1), LateMessage(0, -1, 1), LateMessage(1, 100, 0),
        LateMessage(1, 100, -1), LateMessage(1, 100, 3), LateMessage(0, 0, 3), LateMessage(1, 100, int64_t{1} << 18),
        LateMessage(1, 100, INT64_MIN), LateMessage(2, kLastSecond, 1), LateMessage(1, kLastSecond, 2),
        LateMessage(1, INT64_MAX, 1), LateMessage(256, INT64_MAX - 1, int64_t{1} << 17)}) {
    EXPECT_FALSE(RoomCounts::FromMessage(bad).has_value()) << bad.ShortDebugString();
  }
  for (const int size : {1, 255, 257}) {
    internal::v1::RoomCounts bad;
    for (int i = 0; i < size; ++i) bad.add_shuffled(0);
    EXPECT_FALSE(RoomCounts::FromMessage(bad).has_value()) << size;
  }
}

// Another version may send them; they are dropped, or all would take this for the earliest that can be.
TEST(RoomCountsTest, EmptyBucketsAtTheEndsOfAMessageCountForNothing) {
  internal::v1::RoomCounts message = LateMessage(3, 100, 1);
  message.set_late(0, 0);
  message.set_late(2, 0);
  const std::optional<RoomCounts> counts = RoomCounts::FromMessage(message);
  ASSERT_TRUE(counts.has_value());
  EXPECT_EQ(*counts, CountsOf({LateRank(absl::FromUnixSeconds(101))}));
  for (int i = 0; i < 3; ++i) message.set_late(i, 0);
  EXPECT_EQ(RoomCounts::FromMessage(message), RoomCounts());
}

TEST(RoomCountsTest, WhoseClockWasWrongMakesNobodyElsesBucketsWider) {
  RoomCounts counts = CountsOf({3, LateAt(10), LateAt(10), LateAt(60)});
  RoomCounts mixed = counts;
  mixed.Add(LateAt(365 * 24 * 3600));
  ASSERT_EQ(mixed.ToMessage().late_width_s(), RoomCounts::kMostWidthS);
  mixed.DropLateOutside(kCountsOpening, kCountsOpening + absl::Seconds(100));
  EXPECT_EQ(mixed.ToMessage().late_width_s(), 1);
  EXPECT_EQ(mixed.total(), counts.total()) << "the others are still counted";
  EXPECT_NEAR(mixed.Between(LateAt(0), LateAt(101)), 3, 1e-9) << "within the time that can be";
  // Where the clocks are right, nothing is lost of their order.
  counts.Merge(mixed);
  EXPECT_GE(counts.Between(LateAt(10), LateAt(11)), 2);
}

TEST(RoomCountsTest, WhatIsWithinItsTimeIsLeftAsItIs) {
  const RoomCounts before = CountsOf({0, kShuffledWidth, LateAt(0), LateAt(7), LateAt(100)});
  RoomCounts counts = before;
  counts.DropLateOutside(kCountsOpening, kCountsOpening + absl::Seconds(100));
  EXPECT_EQ(counts, before);
  counts.DropLateOutside(absl::InfinitePast(), absl::InfiniteFuture());
  EXPECT_EQ(counts, before);
  counts.DropLateOutside(kCountsOpening + absl::Seconds(1), kCountsOpening + absl::Seconds(99));
  EXPECT_EQ(counts, CountsOf({0, kShuffledWidth, LateAt(7)}));
  counts.DropLateOutside(kCountsOpening + absl::Seconds(99), kCountsOpening);
  EXPECT_EQ(counts, CountsOf({0, kShuffledWidth})) << "no time is none";
  RoomCounts nobody;
  nobody.DropLateOutside(kCountsOpening, kCountsOpening);
  EXPECT_EQ(nobody, RoomCounts());
}

}  // namespace
}  // namespace tranche::server
