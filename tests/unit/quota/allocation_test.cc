#include "quota/balancer/allocation.h"

#include <map>
#include <numeric>
#include <random>
#include <set>

#include "gtest/gtest.h"
#include "tests/support/holdings.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;
using storage::kPool;
using storage::QuotaDelta;
using testing::After;
using testing::QuotaOf;

TEST(ShareByWeightTest, LargestRemaindersGetTheOddUnits) {
  EXPECT_EQ(ShareByWeight(10, {1, 1, 1}), (std::vector<int64_t>{4, 3, 3}));
  EXPECT_EQ(ShareByWeight(7, {1, 2, 4}), (std::vector<int64_t>{1, 2, 4}));
  // Exact shares 1.6, 3.2, 3.2: the first has the largest remainder.
  EXPECT_EQ(ShareByWeight(8, {1, 2, 2}), (std::vector<int64_t>{2, 3, 3}));
  EXPECT_EQ(ShareByWeight(0, {1, 1}), (std::vector<int64_t>{0, 0}));
  EXPECT_EQ(ShareByWeight(5, {0, 1}), (std::vector<int64_t>{0, 5}));
}

TEST(ShareByWeightTest, SumsExactlyAndNeverStraysAUnitFromTheExactShare) {
  std::mt19937_64 random(20261121);
  for (int round = 0; round < 2000; ++round) {
    const int64_t units = static_cast<int64_t>(random() % 1000000000000ull);
    std::vector<int64_t> weights(1 + random() % 50);
    for (int64_t& weight : weights) weight = static_cast<int64_t>(random() % 1000000000000ull);
    weights[0] += 1;
    const auto shares = ShareByWeight(units, weights);
    EXPECT_EQ(std::accumulate(shares.begin(), shares.end(), int64_t{0}), units);
    const long double total = std::accumulate(weights.begin(), weights.end(), 0.0L);
    for (size_t i = 0; i < weights.size(); ++i) {
      const long double exact = static_cast<long double>(units) * weights[i] / total;
      EXPECT_LT(std::abs(static_cast<long double>(shares[i]) - exact), 1.001L);
    }
  }
}

TEST(EqualSharesTest, SplitsThePoolBeforeTheSale) {
  EXPECT_EQ(After({{kPool, 10}}, EqualShares(QuotaOf({{kPool, 10}}), {1, 2, 3})),
            (std::map<IncarnationId, int64_t>{{kPool, 0}, {1, 4}, {2, 3}, {3, 3}}));
}

TEST(EqualSharesTest, ANewcomerGetsItsShareFromTheOthers) {
  const std::map<IncarnationId, int64_t> before = {{kPool, 0}, {1, 6}, {2, 6}};
  EXPECT_EQ(After(before, EqualShares(QuotaOf(before), {1, 2, 3})),
            (std::map<IncarnationId, int64_t>{{kPool, 0}, {1, 4}, {2, 4}, {3, 4}}));
}

TEST(EqualSharesTest, ASecondRunMovesNothing) {
  const std::map<IncarnationId, int64_t> before = {{kPool, 5}, {1, 0}, {2, 9}, {3, 2}};
  const auto after = After(before, EqualShares(QuotaOf(before), {1, 2, 3}));
  EXPECT_TRUE(EqualShares(QuotaOf(after), {1, 2, 3}).empty());
}

TEST(EqualSharesTest, WithdrawsFromThoseThatAreNoLongerLive) {
  const std::map<IncarnationId, int64_t> before = {{kPool, 0}, {1, 3}, {2, 3}};
  EXPECT_EQ(After(before, EqualShares(QuotaOf(before), {2})),
            (std::map<IncarnationId, int64_t>{{kPool, 0}, {1, 0}, {2, 6}}));
}

TEST(EqualSharesTest, NobodyLiveMovesNothing) { EXPECT_TRUE(EqualShares(QuotaOf({{kPool, 5}}), {}).empty()); }

TEST(ShareWithNewcomersTest, WhatOthersHoldIsNotToBeHad) {
  const std::map<IncarnationId, int64_t> before = {{kPool, 4}, {1, 10}};
  EXPECT_EQ(After(before, ShareWithNewcomers(QuotaOf(before), {2, 3}, {2, 3})),
            (std::map<IncarnationId, int64_t>{{kPool, 0}, {1, 10}, {2, 2}, {3, 2}}));
  EXPECT_TRUE(ShareWithNewcomers(QuotaOf({{kPool, 0}, {1, 10}}), {2, 3}, {2, 3}).empty());
}

TEST(ShareWithNewcomersTest, TheRichestAreLoweredToACommonLevelAndTheOthersKeepWhatTheyHave) {
  const std::map<IncarnationId, int64_t> before = {{kPool, 1}, {1, 2}, {2, 20}, {3, 17}};
  EXPECT_EQ(After(before, ShareWithNewcomers(QuotaOf(before), {1, 2, 3, 4}, {4})),
            (std::map<IncarnationId, int64_t>{{kPool, 0}, {1, 2}, {2, 14}, {3, 14}, {4, 10}}));
}

TEST(ShareWithNewcomersTest, NobodyFallsBelowTheShareAndNewcomersReachIt) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 5000; ++round) {
    std::map<IncarnationId, int64_t> before = {{kPool, static_cast<int64_t>(random() % 50)}};
    std::vector<IncarnationId> live;
    std::set<IncarnationId> newcomers;
    for (IncarnationId id = 1; id <= static_cast<IncarnationId>(1 + random() % 9); ++id) {
      if (random() % 3 != 0) before[id] = static_cast<int64_t>(random() % 100);
      if (random() % 6 == 0) continue;
      live.push_back(id);
      if (random() % 3 == 0) newcomers.insert(id);
    }
    if (live.empty()) continue;
    int64_t units = before[kPool];
    for (const IncarnationId id : live) units += before[id];
    const int64_t share = units / static_cast<int64_t>(live.size());
    auto after = After(before, ShareWithNewcomers(QuotaOf(before), live, newcomers));
    EXPECT_GE(after[kPool], 0);
    for (const IncarnationId id : live) {
      EXPECT_GE(after[id], newcomers.contains(id) ? share : std::min(before[id], share)) << "round " << round;
      EXPECT_LE(after[id], newcomers.contains(id) ? std::max(before[id], share) : before[id]) << "round " << round;
    }
    EXPECT_TRUE(ShareWithNewcomers(QuotaOf(after), live, newcomers).empty()) << "round " << round;
  }
}

TEST(SharePoolTest, RaisesThePoorestFirstAndWithdrawsNothing) {
  const std::map<IncarnationId, int64_t> before = {{kPool, 5}, {1, 10}, {2, 0}, {3, 2}};
  EXPECT_EQ(After(before, SharePool(QuotaOf(before), {1, 2, 3})),
            (std::map<IncarnationId, int64_t>{{kPool, 0}, {1, 10}, {2, 4}, {3, 3}}));
}

TEST(SharePoolTest, EmptiesThePoolExactly) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::map<IncarnationId, int64_t> before = {{kPool, static_cast<int64_t>(random() % 100)}};
    std::vector<IncarnationId> live;
    for (IncarnationId id = 1; id <= static_cast<IncarnationId>(1 + random() % 9); ++id) {
      live.push_back(id);
      if (random() % 3 != 0) before[id] = static_cast<int64_t>(random() % 40);
    }
    const auto deltas = SharePool(QuotaOf(before), live);
    for (const QuotaDelta& delta : deltas) EXPECT_GT(delta.units, 0);
    EXPECT_EQ(After(before, deltas)[kPool], 0) << "round " << round;
  }
}

}  // namespace
}  // namespace tranche::quota
