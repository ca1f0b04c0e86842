// What buyers may rely on in a waiting room, with all parts together: counts, reports, pacer and places.
#include "tests/unit/server/room_simulation.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "server/admission/room_rank.h"
#include "tests/unit/server/admission/test_keys.h"

namespace tranche::server {
namespace {

using Buyer = RoomSimulation::Buyer;

// The value that this part of them is not above.
double Quantile(std::vector<double> values, double part) {
  if (values.empty()) return INFINITY;
  std::sort(values.begin(), values.end());
  const auto index = static_cast<size_t>(part * static_cast<double>(values.size()));
  return values[std::min(index, values.size() - 1)];
}

// Those who joined early and were let in, in the order in which they joined: is each tenth of them as often in the half
// that was let in first? Nine degrees of freedom.
double ChiSquareOfJoinOrder(const RoomSimulation& simulation) {
  std::vector<const Buyer*> let_in;
  for (const Buyer& buyer : simulation.buyers()) {
    if (buyer.shuffled && buyer.let_in_s >= 0) let_in.push_back(&buyer);
  }
  std::sort(let_in.begin(), let_in.end(), [](const Buyer* a, const Buyer* b) { return a->let_in_s < b->let_in_s; });
  const double middle_s = let_in[let_in.size() / 2]->let_in_s;
  std::sort(let_in.begin(), let_in.end(), [](const Buyer* a, const Buyer* b) { return a->joined_s < b->joined_s; });
  std::array<double, 10> first = {}, second = {};
  for (size_t i = 0; i < let_in.size(); ++i) {
    const size_t tenth = i * 10 / let_in.size();
    ++(let_in[i]->let_in_s < middle_s ? first : second)[tenth];
  }
  double firsts = 0;
  for (const double count : first) firsts += count;
  const double part = firsts / static_cast<double>(let_in.size());
  double sum = 0;
  for (size_t i = 0; i < first.size(); ++i) {
    const double all = first[i] + second[i];
    const double expected = all * part;
    sum += (first[i] - expected) * (first[i] - expected) * (1 / expected + 1 / (all - expected));
  }
  return sum;
}

TEST(RoomSimulationTest, EarlyOnesAreShuffledFairlyAndComeFirst) {
  constexpr double kAtOnePercent = 46.96;  // of 27 degrees of freedom
  double chi_square = 0;
  for (const uint64_t seed : {1, 2, 3}) {
    RoomSimulation simulation({.seed = seed, .late_per_s = 4, .leave_per_s = 0.002, .ends_s = 200, .bots = 20});
    simulation.Run();
    SCOPED_TRACE(seed);
    chi_square += ChiSquareOfJoinOrder(simulation);
    EXPECT_EQ(simulation.overtaken(), 0);
    EXPECT_EQ(simulation.changed_ranks(), 0);
    const bool any_late = std::any_of(simulation.buyers().begin(), simulation.buyers().end(),
                                      [](const Buyer& buyer) { return !buyer.shuffled && buyer.let_in_s >= 0; });
    EXPECT_TRUE(any_late) << "nobody could be overtaken";
  }
  EXPECT_LT(chi_square, kAtOnePercent);
}

TEST(RoomSimulationTest, PlacesWaitsAndTheRateAreTrue) {
  for (const uint64_t seed : {4, 5}) {
    RoomSimulation simulation(
        {.seed = seed, .late_per_s = 12, .leave_per_s = 0.002, .ends_s = 220, .loses_ticket = 0.05, .bots = 20});
    simulation.Run();
    SCOPED_TRACE(seed);
    int seen = 0, close = 0;
    for (const RoomSimulation::Position& position : simulation.positions()) {
      if (position.real < 50) continue;
      ++seen;
      if (std::abs(position.told - position.real) <= 0.2 * position.real) ++close;
    }
    ASSERT_GE(seen, 100);
    EXPECT_GE(close, 0.95 * seen) << "of " << seen;
    std::vector<double> errors;
    for (const Buyer& buyer : simulation.buyers()) {
      if (buyer.let_in_s < 0) continue;
      for (const RoomSimulation::Told& told : buyer.told) {
        const double real_s = buyer.let_in_s - told.at_s;
        errors.push_back(std::abs(told.wait_s - real_s) / real_s);
      }
    }
    ASSERT_GE(errors.size(), 1000u);
    EXPECT_LE(Quantile(errors, 0.5), 0.2);
    EXPECT_LE(Quantile(errors, 0.9), 0.35);
    // From when those who asked just before the opening have asked again.
    EXPECT_NEAR(simulation.LetIn(90, 210) / 120.0, 20, 2);
  }
}

// Whoever does not ask any more is not waited for: two intervals later as many come in as before.
TEST(RoomSimulationTest, GoesOnAfterMostHaveLeft) {
  RoomSimulation simulation({.seed = 6,
                             .early = 9000,
                             .leave_per_s = 0.001,
                             .poll_s = 10,
                             .opening_s = 30,
                             .ends_s = 105,
                             .most_leave_s = 60});
  simulation.Run();
  EXPECT_NEAR(simulation.LetIn(45, 60) / 15.0, 20, 3);
  EXPECT_LT(simulation.LetIn(62, 68) / 6.0, 15) << "not so many had left";
  EXPECT_GE(simulation.LetIn(80, 100) / 20.0, 0.95 * 20);
}

TEST(RoomSimulationTest, LetsInNoMoreThanTheCapAndSellsAll) {
  RoomSimulation simulation({.seed = 7,
                             .early = 1500,
                             .late_per_s = 4,
                             .leave_per_s = 0.001,
                             .token_s = 40,
                             .ends_s = 360,
                             .stock = 150,
                             .conversion = 0.3,
                             .buys_within_s = 20,
                             .leader_dies_s = 68});
  simulation.Run();
  uint64_t threshold = 0;
  bool was_held = false;
  for (const RoomSimulation::Step& now : simulation.steps()) {
    SCOPED_TRACE(now.at_s);
    const RoomStep& step = now.step;
    ASSERT_GE(step.threshold, threshold);
    const bool grew = step.threshold > threshold;
    threshold = step.threshold;
    was_held |= step.held == internal::v1::RoomBoards::HELD_ENOUGH;
    if (now.unsold == 0) continue;
    EXPECT_GE(step.conversion, 0.7 * 0.3);
    // Counts are estimates.
    if (grew) {
      EXPECT_LE(static_cast<double>(now.under_way), 1.1 * 2 * static_cast<double>(now.unsold) / step.conversion + 25);
    }
  }
  EXPECT_TRUE(was_held);
  EXPECT_LE(simulation.unsold(), 3);
}

TEST(RoomSimulationTest, ANewLeaderGoesOn) {
  RoomSimulation simulation({.seed = 8, .late_per_s = 4, .ends_s = 150, .leader_dies_s = 90});
  simulation.Run();
  uint64_t at_death = 0;
  for (const RoomSimulation::Step& now : simulation.steps()) {
    if (now.at_s < 90) at_death = now.step.threshold;
    if (now.at_s >= 90) {
      EXPECT_GE(now.at_s, 100);
      EXPECT_GE(now.step.threshold, at_death);
    }
  }
  EXPECT_GT(at_death, 0u);
  // In the second before everybody who was passed has asked again.
  EXPECT_NEAR(simulation.LetIn(125, 150) / 25.0, 20, 4);
}

// One room at two nodes, without a pacer.
class RoomTriesTest : public ::testing::Test {
 protected:
  RoomTriesTest() {
    policy_.sku_id = "tv";
    policy_.room = DoorRoom{.key = std::string(32, 'k'),
                            .commitment = "",
                            .round = 1,
                            .buyers_per_s = 10,
                            .ahead = 2,
                            .poll_interval = absl::Seconds(20)};
    const std::vector<OpenRoom> rooms = {{.sku_id = "tv", .round = 1, .poll_interval = absl::Seconds(20)}};
    for (DoorRooms& node : nodes_) node.SetRooms(rooms);
  }

  RoomPlace Try(const std::string& ticket, bool sale_open) {
    now_ += absl::Seconds(2);
    DoorRooms& node = nodes_[static_cast<size_t>(tries_++) % nodes_.size()];
    return EnterRoom(
        policy_, keys_, node,
        {.sku_id = "tv", .user_id = "alice", .ticket = ticket, .opened = sale_open, .may_enter = sale_open}, now_,
        [](absl::Duration) { return absl::ZeroDuration(); });
  }
  uint64_t Counted() const {
    RoomCounts living;
    for (const DoorRooms& node : nodes_) {
      for (const RoomTallied& tallied : node.Tallied(now_)) living.Merge(tallied.waiting);
    }
    return living.total();
  }

  const FrontKeys keys_ = CurrentTestKey();
  DoorPolicy policy_;
  std::array<DoorRooms, 2> nodes_;
  absl::Time now_ = absl::UnixEpoch() + absl::Hours(24 * 365);
  int tries_ = 0;
};

TEST_F(RoomTriesTest, WhoAsksTenTimesAsOftenIsCountedOnce) {
  std::string ticket;
  double sum = 0;
  for (int i = 0; i < 200; ++i) {
    const RoomPlace place = Try(ticket, /*sale_open=*/i >= 100);
    ticket = place.ticket;
    EXPECT_TRUE(place.shuffled);
    const uint64_t counted = Counted();
    // Two, where the next interval begins before the nodes forget the last one.
    EXPECT_GE(counted, 1u);
    EXPECT_LE(counted, 2u);
    sum += static_cast<double>(counted);
  }
  EXPECT_NEAR(sum / 200, 1, 0.25);
}

TEST_F(RoomTriesTest, ManyTicketsGiveNoBetterPlace) {
  const RoomPlace first = Try("", /*sale_open=*/false);
  EXPECT_EQ(first.rank, ShuffledRank(policy_.room->key, "tv", 1, "alice"));
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(Try("", /*sale_open=*/false).rank, first.rank);
  }
  uint64_t rank = first.rank;
  for (int i = 0; i < 5; ++i) {
    const RoomPlace late = Try("", /*sale_open=*/true);
    EXPECT_FALSE(late.shuffled);
    EXPECT_GT(late.rank, rank);
    rank = late.rank;
  }
  EXPECT_EQ(Try(first.ticket, /*sale_open=*/true).rank, first.rank);
}

}  // namespace
}  // namespace tranche::server
