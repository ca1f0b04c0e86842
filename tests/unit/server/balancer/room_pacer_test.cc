// How fast a room lets buyers in. Waiters here do not ask: each step is told who is counted.
#include "server/balancer/room_pacer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>

#include "server/admission/room_rank.h"

namespace tranche::server {
namespace {

using internal::v1::RoomBoards;

constexpr absl::Duration kTick = absl::Milliseconds(500);
constexpr int kTicksOfAMinute = 120;

class RoomPacerTest : public ::testing::Test {
 protected:
  // So many shuffled buyers, evenly.
  static RoomCounts Shuffled(int buyers) {
    RoomCounts counts;
    for (int i = 0; i < buyers; ++i)
      counts.Add(kFirstLateRank / static_cast<uint64_t>(buyers) * static_cast<uint64_t>(i));
    return counts;
  }
  // Those of all `waiting` who wait at a threshold, as if those let in were not counted any more.
  static RoomCounts Above(uint64_t threshold, int buyers) {
    RoomCounts counts;
    for (int i = 0; i < buyers; ++i) {
      const uint64_t rank = kFirstLateRank / static_cast<uint64_t>(buyers) * static_cast<uint64_t>(i);
      if (rank >= threshold) counts.Add(rank);
    }
    return counts;
  }

  RoomStep Step(const RoomCounts& living) { return StepAfter(kTick, living); }
  RoomStep StepAfter(absl::Duration time, const RoomCounts& living) {
    now_ += time;
    return pacer_.Step(now_, pace_, living, sale_);
  }
  // So many of the buyers of Shuffled(buyers) have been let in.
  static double Part(uint64_t threshold, int buyers) {
    return static_cast<double>(threshold) / static_cast<double>(kFirstLateRank) * buyers;
  }

  absl::Time now_ = absl::FromUnixSeconds(1'800'000'000);
  RoomPace pace_ = {.buyers_per_s = 50};
  std::optional<RoomSale> sale_ = RoomSale{.open = true, .unsold = 1'000'000, .stock = 1'000'000};
  RoomPacer pacer_{0};
};

// Also where many ticks go by within one bucket: 256 of them have 40,000 buyers.
TEST_F(RoomPacerTest, KeepsTheRate) {
  constexpr int kBuyers = 40'000;
  RoomStep step = Step(Shuffled(kBuyers));
  uint64_t before = 0;
  for (int i = 0; i < 5 * kTicksOfAMinute; ++i) {
    step = Step(Above(step.threshold, kBuyers));
    ASSERT_GE(step.threshold, before);
    before = step.threshold;
  }
  EXPECT_NEAR(Part(step.threshold, kBuyers), 5 * 60 * 50, 0.05 * 5 * 60 * 50);
  EXPECT_NEAR(step.let_in_per_s, 50, 3);
  EXPECT_EQ(step.held, RoomBoards::HELD_UNSPECIFIED);
}

// Those who were let in are counted for an interval: the rate must not follow how full that leaves a bucket.
TEST_F(RoomPacerTest, KeepsTheRateWithinOneWideBucket) {
  pace_.buyers_per_s = 2;
  pace_.poll_interval = absl::Seconds(5);
  constexpr int kBuyers = 256 * 400;  // a bucket takes 200 s
  uint64_t threshold = 0;
  std::deque<uint64_t> thresholds;
  for (int i = 0; i < 3 * kTicksOfAMinute; ++i) {
    // Who was let in more than an interval ago is not counted.
    const uint64_t counted_from = thresholds.size() < 10 ? 0 : thresholds.front();
    if (thresholds.size() >= 10) thresholds.pop_front();
    threshold = Step(Above(counted_from, kBuyers)).threshold;
    thresholds.push_back(threshold);
  }
  EXPECT_NEAR(Part(threshold, kBuyers), 3 * 60 * 2, 0.2 * 3 * 60 * 2);
}

TEST_F(RoomPacerTest, MakesUpForTwoSecondsAtMost) {
  constexpr int kBuyers = 100'000;
  Step(Shuffled(kBuyers));
  const uint64_t before = Step(Shuffled(kBuyers)).threshold;
  const uint64_t after = StepAfter(absl::Seconds(60), Shuffled(kBuyers)).threshold;
  EXPECT_LE(Part(after - before, kBuyers), 101);
  EXPECT_GE(Part(after - before, kBuyers), 90);
}

TEST_F(RoomPacerTest, NeverPassesNow) {
  RoomCounts late;
  late.Add(LateRank(now_ + absl::Hours(1)), 5);
  for (int i = 0; i < kTicksOfAMinute; ++i) EXPECT_LE(Step(late).threshold, LateRank(now_));
}

TEST_F(RoomPacerTest, ALonelyBuyerIsLetInSoon) {
  for (int i = 0; i < kTicksOfAMinute; ++i) EXPECT_EQ(Step({}).held, RoomBoards::HELD_NOBODY_WAITS);
  const uint64_t rank = LateRank(now_);
  RoomCounts one;
  one.Add(rank);
  absl::Duration waited = absl::ZeroDuration();
  while (Step(one).threshold <= rank) ASSERT_LT(waited += kTick, absl::Seconds(5));
}

TEST_F(RoomPacerTest, SaysWhyItHolds) {
  const RoomCounts waiting = Shuffled(1000);
  sale_.reset();
  EXPECT_EQ(Step(waiting).held, RoomBoards::HELD_LEDGER_SILENT);
  sale_ = RoomSale{.open = false, .unsold = 10, .stock = 10};
  EXPECT_EQ(Step(waiting).held, RoomBoards::HELD_NOT_OPEN);
  sale_->open = true;
  pace_.buyers_per_s = 0;
  EXPECT_EQ(Step(waiting).held, RoomBoards::HELD_RATE_ZERO);
  EXPECT_EQ(pacer_.threshold(), 0);
  pace_.buyers_per_s = 50;
  sale_->unsold = 0;
  EXPECT_EQ(Step(waiting).held, RoomBoards::HELD_ENOUGH);
  EXPECT_EQ(pacer_.threshold(), 0);
}

TEST_F(RoomPacerTest, LetsInAheadOfWhatIsUnsold) {
  constexpr int kBuyers = 100'000;
  sale_ = RoomSale{.open = true, .unsold = 100, .stock = 100};
  RoomStep step;
  for (int i = 0; i < 2 * kTicksOfAMinute; ++i) step = Step(Shuffled(kBuyers));
  EXPECT_EQ(step.held, RoomBoards::HELD_ENOUGH);
  EXPECT_NEAR(Part(step.threshold, kBuyers), 200, 5) << "twice what is unsold";
  EXPECT_NEAR(static_cast<double>(step.under_way), 200, 5);
  // Who has not bought by now does not any more, and of those who were let in nobody has bought.
  for (int i = 0; i < 2 * kTicksOfAMinute; ++i) step = Step(Shuffled(kBuyers));
  EXPECT_EQ(step.conversion, 0.05);
  EXPECT_GT(Part(step.threshold, kBuyers), 1000);
}

TEST_F(RoomPacerTest, MeasuresHowManyBuy) {
  constexpr int kBuyers = 400'000;
  sale_ = RoomSale{.open = true, .unsold = 100'000, .stock = 100'000};
  RoomStep step;
  for (int i = 0; i < 10 * kTicksOfAMinute; ++i) {
    step = Step(Above(step.threshold, kBuyers));
    if (i > 60 && i % 2 == 0) sale_->unsold -= 10;  // a fifth of 50
  }
  EXPECT_NEAR(step.conversion, 0.2, 0.05);
}

TEST_F(RoomPacerTest, MeasuresWhoLeaves) {
  pace_.poll_interval = absl::Seconds(10);
  pace_.buyers_per_s = 1;
  double part = 1;
  RoomStep step;
  for (int i = 0; i < 3 * kTicksOfAMinute; ++i) {
    part *= std::exp(-0.005 * absl::ToDoubleSeconds(kTick));
    RoomCounts counts;
    for (int bucket = 0; bucket < RoomCounts::kShuffledBuckets; ++bucket) {
      counts.Add(uint64_t{static_cast<uint64_t>(bucket)} << 55, static_cast<uint64_t>(std::lround(1000 * part)));
    }
    step = Step(counts);
  }
  EXPECT_NEAR(step.leaving_per_s, 0.005, 0.001);
}

TEST_F(RoomPacerTest, ANewLeaderGoesOnFromWhatItFinds) {
  constexpr uint64_t kFound = uint64_t{1} << 61;
  pacer_ = RoomPacer(kFound);
  EXPECT_EQ(StepAfter(absl::ZeroDuration(), Shuffled(1000)).threshold, kFound) << "no credit yet";
  EXPECT_GT(Step(Shuffled(1000)).threshold, kFound);
}

TEST_F(RoomPacerTest, BearsGarbage) {
  RoomCounts garbage;
  garbage.Add(0, std::numeric_limits<uint64_t>::max());
  garbage.Add(std::numeric_limits<uint64_t>::max(), std::numeric_limits<uint64_t>::max());
  sale_ = RoomSale{.open = true, .unsold = std::numeric_limits<int64_t>::min() / 2, .stock = 0};
  pace_.poll_interval = absl::ZeroDuration();
  pace_.token_lifetime = absl::ZeroDuration();
  uint64_t before = 0;
  for (const int64_t unsold : {int64_t{-5}, int64_t{0}, std::numeric_limits<int64_t>::max() / 2}) {
    sale_->unsold = unsold;
    for (const absl::Duration time : {kTick, -absl::Hours(1), absl::Hours(1000), kTick}) {
      const RoomStep step = StepAfter(time, garbage);
      EXPECT_GE(step.threshold, before);
      EXPECT_TRUE(std::isfinite(step.let_in_per_s) && std::isfinite(step.leaving_per_s) &&
                  std::isfinite(step.conversion));
      before = step.threshold;
    }
  }
}

}  // namespace
}  // namespace tranche::server
