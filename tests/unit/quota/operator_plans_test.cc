#include "quota/balancer/operator_plans.h"

#include <limits>
#include <map>
#include <numeric>
#include <random>

#include "gtest/gtest.h"
#include "tests/support/holdings.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;
using storage::kPool;
using testing::After;
using testing::QuotaOf;

TEST(SetRemainingTest, WhatANodeGivesUpGoesToThePoorestOfTheOthers) {
  const std::map<IncarnationId, int64_t> before = {{kPool, 0}, {1, 10}, {2, 0}, {3, 4}};
  EXPECT_EQ(After(before, *SetRemaining(QuotaOf(before), {1, 2, 3}, 1, 2)),
            (std::map<IncarnationId, int64_t>{{kPool, 0}, {1, 2}, {2, 6}, {3, 6}}));
}

TEST(SetRemainingTest, WhatANodeGetsComesFromThePoolThenFromTheOthersInProportion) {
  const std::map<IncarnationId, int64_t> before = {{kPool, 5}, {1, 0}, {2, 9}, {3, 3}};
  EXPECT_EQ(After(before, *SetRemaining(QuotaOf(before), {1, 2, 3}, 1, 4)),
            (std::map<IncarnationId, int64_t>{{kPool, 1}, {1, 4}, {2, 9}, {3, 3}}));
  EXPECT_EQ(After(before, *SetRemaining(QuotaOf(before), {1, 2, 3}, 1, 9)),
            (std::map<IncarnationId, int64_t>{{kPool, 0}, {1, 9}, {2, 6}, {3, 2}}));
  EXPECT_FALSE(SetRemaining(QuotaOf(before), {1, 2, 3}, 1, 18).has_value());
  EXPECT_TRUE(SetRemaining(QuotaOf(before), {1, 2, 3}, 2, 9)->empty());
}

TEST(SetRemainingTest, AloneItGivesUpIntoThePool) {
  const std::map<IncarnationId, int64_t> before = {{kPool, 0}, {1, 10}};
  EXPECT_EQ(After(before, *SetRemaining(QuotaOf(before), {1}, 1, 4)),
            (std::map<IncarnationId, int64_t>{{kPool, 6}, {1, 4}}));
}

TEST(MoveBetweenTest, TakesAndGivesExactlyWhatWasAskedFor) {
  const std::map<IncarnationId, int64_t> before = {{kPool, 5}, {1, 10}, {2, 0}};
  EXPECT_EQ(After(before, *MoveBetween(QuotaOf(before), 1, 2, 4)),
            (std::map<IncarnationId, int64_t>{{kPool, 5}, {1, 6}, {2, 4}}));
  EXPECT_EQ(After(before, *MoveBetween(QuotaOf(before), 1, kPool, 10)),
            (std::map<IncarnationId, int64_t>{{kPool, 15}, {1, 0}, {2, 0}}));
  EXPECT_EQ(After(before, *MoveBetween(QuotaOf(before), kPool, 3, 5)),
            (std::map<IncarnationId, int64_t>{{kPool, 0}, {1, 10}, {2, 0}, {3, 5}}));
}

TEST(MoveBetweenTest, NeverMoreThanRemainsAtTheSource) {
  const std::map<IncarnationId, int64_t> before = {{kPool, 5}, {1, 10}};
  EXPECT_FALSE(MoveBetween(QuotaOf(before), 1, 2, 11).has_value()) << "whatever the pool has";
  EXPECT_FALSE(MoveBetween(QuotaOf(before), kPool, 1, 6).has_value());
  EXPECT_FALSE(MoveBetween(QuotaOf(before), 9, 1, 1).has_value()) << "one that holds nothing";
}

TEST(WeightedSharesTest, SharesPoolAndSlicesInProportionAndWithdrawsFromTheOthers) {
  const std::map<IncarnationId, int64_t> before = {{kPool, 30}, {1, 10}, {2, 50}, {7, 10}};
  EXPECT_EQ(After(before, WeightedShares(QuotaOf(before), {{1, 3}, {2, 1}, {3, 0}})),
            (std::map<IncarnationId, int64_t>{{kPool, 0}, {1, 75}, {2, 25}, {7, 0}}));
}

TEST(WeightedSharesTest, ConservesEveryUnitAndASecondRunMovesNothing) {
  std::mt19937_64 random(20261123);
  for (int round = 0; round < 1000; ++round) {
    std::map<IncarnationId, int64_t> before = {{kPool, static_cast<int64_t>(random() % 1000)}};
    std::vector<WeightedReceiver> receivers;
    for (IncarnationId id = 1; id <= static_cast<IncarnationId>(2 + random() % 8); ++id) {
      before[id] = static_cast<int64_t>(random() % 1000);
      if (id == 1 || random() % 4 != 0) receivers.push_back({id, static_cast<int64_t>(random() % 100) + (id == 1)});
    }
    const auto sum = [](const std::map<IncarnationId, int64_t>& units) {
      return std::accumulate(units.begin(), units.end(), int64_t{0},
                             [](int64_t a, const auto& b) { return a + b.second; });
    };
    const auto after = After(before, WeightedShares(QuotaOf(before), receivers));
    EXPECT_EQ(sum(after), sum(before)) << "round " << round;
    EXPECT_EQ(after.at(kPool), 0) << "round " << round;
    EXPECT_TRUE(WeightedShares(QuotaOf(after), receivers).empty()) << "round " << round;
  }
}

TEST(WeightOfRateTest, IsInThousandthsAndNeverStrange) {
  EXPECT_EQ(WeightOfRate(0), 0);
  EXPECT_EQ(WeightOfRate(0.5), 500);
  EXPECT_EQ(WeightOfRate(12.3456), 12346);
  EXPECT_EQ(WeightOfRate(-1), 0);
  EXPECT_EQ(WeightOfRate(std::numeric_limits<double>::quiet_NaN()), 0);
  EXPECT_EQ(WeightOfRate(std::numeric_limits<double>::infinity()), 1'000'000'000'000);
}

}  // namespace
}  // namespace tranche::quota
