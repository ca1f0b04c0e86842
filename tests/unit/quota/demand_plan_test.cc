#include "quota/balancer/demand_plan.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/holdings.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;
using storage::kPool;
using storage::QuotaDelta;
using testing::After;
using testing::Holdings;
using testing::QuotaOf;

Holdings Planned(const Holdings& before, const std::vector<IncarnationId>& receivers, const DemandByNode& demand,
                 bool pool_feeds = false) {
  return After(before, PlanForDemand(QuotaOf(before), receivers, demand, pool_feeds));
}

int64_t Total(const Holdings& holdings) {
  return std::accumulate(holdings.begin(), holdings.end(), int64_t{0},
                         [](int64_t sum, const auto& entry) { return sum + entry.second; });
}

int64_t PerSecond(int64_t units) { return units * 1000; }

TEST(PlanForDemandTest, NothingMovesWithoutNeed) {
  const Holdings before = {{kPool, 5}, {1, 10}, {2, 90}};
  EXPECT_TRUE(PlanForDemand(QuotaOf(before), {1, 2}, {}).empty());
  EXPECT_TRUE(PlanForDemand(QuotaOf(before), {1, 2}, {{1, {0, PerSecond(5)}}, {2, {0, PerSecond(5)}}}).empty());
  EXPECT_TRUE(PlanForDemand(QuotaOf(before), {}, {{1, {.wanted = 20, .milli_rate = 0}}}).empty())
      << "nobody may receive";
  EXPECT_TRUE(PlanForDemand(QuotaOf({{1, 0}, {2, 0}}), {1, 2}, {{1, {1, 0}}}).empty()) << "nothing is left";
}

TEST(PlanForDemandTest, ThePoolComesFirst) {
  EXPECT_EQ(Planned({{kPool, 100}, {1, 0}, {2, 100}}, {1, 2}, {{1, {.wanted = 1, .milli_rate = PerSecond(3)}}}),
            (Holdings{{kPool, 0}, {1, 195}, {2, 5}}))
      << "its share of all, of which a twentieth is spread evenly";
  EXPECT_EQ(Planned({{kPool, 100}, {1, 0}, {2, 100}}, {1, 2},
                    {{1, {.wanted = 1, .milli_rate = PerSecond(100)}}, {2, {0, PerSecond(100)}}}),
            (Holdings{{kPool, 0}, {1, 100}, {2, 100}}));
}

TEST(PlanForDemandTest, SlicesOutOfTheSaleComeBeforeIdleOnesAndIdleOnesBeforeSellers) {
  const DemandByNode demand = {{1, {.wanted = 5, .milli_rate = PerSecond(1)}}, {3, {0, PerSecond(1)}}};
  // 4 is no receiver, 2 is idle, 3 sells and has more than its target.
  const Holdings before = {{1, 0}, {2, 10}, {3, 10}, {4, 5}};
  const Holdings after = Planned(before, {1, 2, 3}, demand);
  EXPECT_EQ(after.at(4), 0);
  EXPECT_LT(after.at(2), 10);
  EXPECT_EQ(after.at(3), 10);
}

TEST(PlanForDemandTest, TheLastUnitFindsTheOneBuyer) {
  Holdings before = {{kPool, 0}};
  std::vector<IncarnationId> receivers;
  for (IncarnationId id = 1; id <= 100; ++id) {
    receivers.push_back(id);
    before[id] = id == 77 ? 1 : 0;
  }
  EXPECT_EQ(Planned(before, receivers, {{5, {.wanted = 1, .milli_rate = 0}}}).at(5), 1);
  // Its holder sells sometimes: a buyer who is there comes before one who may come.
  const DemandByNode demand = {{5, {.wanted = 1, .milli_rate = 0}}, {77, {0, 500}}};
  EXPECT_EQ(Planned(before, receivers, demand).at(5), 1);
  // It is about to sell it.
  EXPECT_EQ(Planned(before, receivers, {{5, {.wanted = 1, .milli_rate = 0}}, {77, {0, PerSecond(6)}}}).at(5), 0);
}

TEST(PlanForDemandTest, WhoSellsWhatItHasWithinAMomentKeepsItWhoeverElseIsDry) {
  const NodeDemand selling = {.wanted = 0, .milli_rate = PerSecond(100)};
  EXPECT_TRUE(PlanForDemand(QuotaOf({{1, 0}, {2, 10}}), {1, 2},
                            {{1, {.wanted = 1, .milli_rate = PerSecond(100)}}, {2, selling}})
                  .empty());
  EXPECT_EQ(Planned({{1, 0}, {2, 100}}, {1, 2}, {{1, {.wanted = 1, .milli_rate = PerSecond(100)}}, {2, selling}}),
            (Holdings{{kPool, 0}, {1, 50}, {2, 50}}));
}

TEST(PlanForDemandTest, ScatteredUnitsAreGatheredIntoLots) {
  const Holdings before = {{1, 1}, {2, 1}, {3, 1}, {4, 2}};
  const Holdings after =
      Planned(before, {1, 2, 3, 4}, {{2, {.wanted = 2, .milli_rate = 0}}, {3, {.wanted = 2, .milli_rate = 0}}});
  EXPECT_GE(after.at(2), 2);
  EXPECT_GE(after.at(3), 2);
}

TEST(PlanForDemandTest, WhoAsksForLittleIsServedWhenNotAllCanBe) {
  const Holdings after = Planned({{1, 2}, {2, 1}, {3, 0}}, {1, 2, 3},
                                 {{1, {.wanted = 4, .milli_rate = PerSecond(9)}}, {3, {.wanted = 3, .milli_rate = 0}}});
  EXPECT_EQ(after, (Holdings{{kPool, 0}, {1, 0}, {2, 0}, {3, 3}})) << "two units are of no use to buyers of four";
}

TEST(PlanForDemandTest, WhoIsAboutToRunDryReceivesBeforeItIs) {
  const Holdings before = {{1, 20}, {2, 980}};
  const Holdings after = Planned(before, {1, 2}, {{1, {0, PerSecond(100)}}, {2, {0, PerSecond(100)}}});
  EXPECT_EQ(after, (Holdings{{kPool, 0}, {1, 500}, {2, 500}}));
  EXPECT_TRUE(
      PlanForDemand(QuotaOf({{1, 30}, {2, 970}}), {1, 2}, {{1, {0, PerSecond(100)}}, {2, {0, PerSecond(100)}}}).empty())
      << "it has enough for a moment";
}

TEST(PlanForDemandTest, OfASkuThatLivesInThePoolANodeGetsAFewSecondsOfItsDemand) {
  const Holdings after = Planned({{kPool, 100000}, {1, 0}}, {1, 2, 3},
                                 {{1, {.wanted = 1, .milli_rate = PerSecond(50)}}}, /*pool_feeds=*/true);
  EXPECT_EQ(after, (Holdings{{kPool, 99900}, {1, 100}}));
  EXPECT_EQ(Planned({{kPool, 100000}}, {1, 2}, {{2, {.wanted = 3, .milli_rate = 0}}}, /*pool_feeds=*/true),
            (Holdings{{kPool, 100000 - 24}, {2, 24}}))
      << "some lots, when no rate is known yet";
}

// Units that a node has been given and has not heard of yet are not idle.
TEST(PlanForDemandTest, WhatWasJustGivenIsNotTakenAwayBeforeItsBuyersHaveIt) {
  const std::vector<IncarnationId> receivers = {1, 2, 3};
  const DemandByNode demand = {{1, {.wanted = 3, .milli_rate = 0}}, {2, {0, PerSecond(100)}}};
  const Holdings first = Planned({{1, 0}, {2, 1}, {3, 6}}, receivers, demand);
  EXPECT_GE(first.at(1), 3);
  EXPECT_GE(Planned(first, receivers, demand).at(1), 3);
}

// By the ledger it has three; by its report two of them are in flight, so a buyer of two waits.
TEST(PlanForDemandTest, WhatIsInFlightIsAsGoodAsSold) {
  const Holdings before = {{1, 3}, {2, 4}};
  const NodeDemand dry = {.wanted = 2, .milli_rate = 0, .free = 1, .slice_version = 1};
  EXPECT_GE(Planned(before, {1, 2}, {{1, dry}}).at(1), 4);
  NodeDemand unheard = dry;
  unheard.slice_version = 0;
  EXPECT_EQ(Planned(before, {1, 2}, {{1, unheard}}).at(1), 3) << "it was given units that it has not heard of";
  // Nor are they taken for others.
  const NodeDemand selling = {.wanted = 0, .milli_rate = 0, .free = 1, .slice_version = 1};
  EXPECT_EQ(Planned(before, {1, 2}, {{1, selling}, {2, {.wanted = 7, .milli_rate = 0}}}).at(2), 4);
  EXPECT_EQ(Planned(before, {1, 2}, {{1, selling}, {2, {.wanted = 5, .milli_rate = 0}}}),
            (Holdings{{kPool, 0}, {1, 2}, {2, 5}}));
}

// A world made from a seed: some receivers, some slices of others, a pool, and the nodes' reports.
struct World {
  explicit World(uint64_t seed) : random(seed) {
    const IncarnationId nodes = 1 + Below(12);
    const int64_t scale = int64_t{1} << Below(12);
    if (Below(3) == 0) holdings[kPool] = Below(scale);
    for (IncarnationId id = 1; id <= nodes; ++id) {
      if (Below(5) != 0) receivers.push_back(id);
      if (Below(4) != 0) holdings[id] = Below(scale);
      if (Below(2) != 0) continue;
      NodeDemand& said = demand[id];
      if (Below(2) == 0) said.wanted = 1 + Below(6);
      if (Below(3) != 0) said.milli_rate = Below(1 << Below(22));
    }
    pool_feeds = Below(4) == 0;
  }
  int64_t Below(int64_t bound) { return static_cast<int64_t>(random() % static_cast<uint64_t>(bound)); }
  int64_t Has(IncarnationId id) const {
    const auto found = holdings.find(id);
    return found == holdings.end() ? 0 : found->second;
  }
  bool IsDry(IncarnationId id, const NodeDemand& said) const {
    return std::binary_search(receivers.begin(), receivers.end(), id) && said.wanted > Has(id);
  }

  std::mt19937_64 random;
  Holdings holdings;
  std::vector<IncarnationId> receivers;
  DemandByNode demand;
  bool pool_feeds = false;
};

constexpr uint64_t kSeeds = 20000;

TEST(PlanForDemandPropertyTest, UnitsAreConservedAndOnlyReceiversReceive) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    const World world(seed);
    const auto deltas = PlanForDemand(QuotaOf(world.holdings), world.receivers, world.demand, world.pool_feeds);
    std::map<IncarnationId, int> holders;
    for (const QuotaDelta& delta : deltas) {
      EXPECT_NE(delta.units, 0);
      EXPECT_NE(delta.holder, kPool);
      EXPECT_EQ(++holders[delta.holder], 1) << "holders are distinct";
      if (delta.units > 0) {
        EXPECT_TRUE(std::binary_search(world.receivers.begin(), world.receivers.end(), delta.holder));
      }
    }
    const Holdings after = After(world.holdings, deltas);
    EXPECT_EQ(Total(after), Total(world.holdings));
    for (const auto& [holder, units] : after) EXPECT_GE(units, 0) << holder;
    if (HasFailure()) return;
  }
}

// A node that is not dry keeps what it is about to sell; everything else is available for the dry one.
TEST(PlanForDemandPropertyTest, TheOneDryNodeIsServedFromWhateverExists) {
  const DemandPlanOptions options;
  int served = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    World world(seed);
    IncarnationId dry = kPool;
    for (auto& [id, said] : world.demand) {
      if (!world.IsDry(id, said)) continue;
      if (dry != kPool) said.wanted = 0;
      dry = dry == kPool ? id : dry;
    }
    if (dry == kPool) continue;
    const int64_t wanted = world.demand[dry].wanted;
    int64_t available = Total(world.holdings);
    for (const IncarnationId id : world.receivers) {
      const auto said = world.demand.find(id);
      if (id == dry || said == world.demand.end()) continue;
      const int64_t rate = said->second.milli_rate;
      const int64_t has = world.Has(id);
      const bool sells_it = IsLow(has, rate) || has * 1'000'000 < rate * options.keep_ms;
      // What it has just been given for its own buyers counts as sold.
      available -= sells_it ? has : std::min(has, said->second.wanted);
    }
    if (wanted > available) continue;
    ++served;
    EXPECT_GE(Planned(world.holdings, world.receivers, world.demand, world.pool_feeds).at(dry), wanted);
    if (HasFailure()) return;
  }
  EXPECT_GT(served, 1000) << "the worlds say little";
}

TEST(PlanForDemandPropertyTest, ASecondPlanOnTheSameReportsMovesNothing) {
  int moved = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    const World world(seed);
    const auto deltas = PlanForDemand(QuotaOf(world.holdings), world.receivers, world.demand, world.pool_feeds);
    if (deltas.empty()) continue;
    ++moved;
    const Holdings after = After(world.holdings, deltas);
    const auto again = PlanForDemand(QuotaOf(after), world.receivers, world.demand, world.pool_feeds);
    std::string moves;
    for (const QuotaDelta& delta : again)
      moves += " " + std::to_string(delta.holder) + ":" + std::to_string(delta.units);
    EXPECT_EQ(moves, "");
    if (HasFailure()) return;
  }
  EXPECT_GT(moved, 1000) << "the worlds say little";
}

// Buyers at some nodes want one unit after another, until none is left anywhere.
TEST(PlanForDemandPropertyTest, AsLongAsBuyersComeEveryUnitIsSold) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    World world(seed);
    if (world.receivers.empty()) continue;
    for (IncarnationId id : world.receivers) world.holdings.try_emplace(id, 0);
    std::vector<IncarnationId> busy = world.receivers;
    std::shuffle(busy.begin(), busy.end(), world.random);
    busy.resize(1 + static_cast<size_t>(world.Below(static_cast<int64_t>(busy.size()))));
    int rounds = 0;
    for (; Total(world.holdings) > 0 && rounds < 10000; ++rounds) {
      DemandByNode demand;
      for (const IncarnationId id : busy) {
        const int64_t buyers = 1 + world.Below(50);
        const int64_t sold = std::min(buyers, world.holdings[id]);
        world.holdings[id] -= sold;
        demand[id] = {.wanted = sold < buyers ? 1 : 0, .milli_rate = PerSecond(buyers)};
      }
      world.holdings = Planned(world.holdings, world.receivers, demand, world.pool_feeds);
    }
    EXPECT_EQ(Total(world.holdings), 0);
    EXPECT_LE(rounds, 1000);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace tranche::quota
