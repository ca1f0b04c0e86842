#include "server/balancer/room_pacer.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "server/admission/room_rank.h"
#include "storage/clock.h"

namespace tranche::server {
namespace {

using internal::v1::RoomBoards;
using ::testing::AllOf;
using ::testing::Ge;
using ::testing::Le;

// Those who wait ask once in an interval, until the threshold has passed them, and count for an interval after it.
class RoomPacerTest : public ::testing::Test {
 protected:
  struct Waiting {
    uint64_t rank = 0;
    absl::Time counted_at;
  };

  // Before the opening: evenly over the ranks, and over an interval.
  void JoinEarly(int buyers) {
    const uint64_t apart = kFirstLateRank / static_cast<uint64_t>(buyers);
    for (int i = 0; i < buyers; ++i) {
      // Not those of one part of the ranks in one part of the interval.
      const absl::Duration ago = pace_.poll_interval * ((i * 7919) % 1000) / 1000;
      crowd_.push_back({.rank = apart * static_cast<uint64_t>(i) + apart / 2, .counted_at = clock_.Now() - ago});
    }
  }
  void JoinLate(absl::Duration ago = absl::ZeroDuration()) {
    crowd_.push_back({.rank = LateRank(clock_.Now() - ago), .counted_at = clock_.Now() - ago});
  }

  RoomCounts Living() {
    const absl::Time now = clock_.Now();
    RoomCounts living;
    for (Waiting& buyer : crowd_) {
      while (buyer.rank >= pacer_.threshold() && buyer.counted_at + pace_.poll_interval <= now) {
        buyer.counted_at += pace_.poll_interval;
      }
      if (buyer.counted_at > now - pace_.poll_interval) living.Add(buyer.rank);
    }
    return living;
  }
  RoomStep Step(absl::Duration after = absl::Milliseconds(500)) {
    clock_.AdvanceBy(after);
    return pacer_.Step(clock_.Now(), pace_, Living(), sale_);
  }
  RoomStep StepsFor(absl::Duration lasting) {
    RoomStep step;
    for (absl::Duration passed; passed < lasting; passed += absl::Milliseconds(500)) step = Step();
    return step;
  }
  int64_t LetIn() const {
    return std::count_if(crowd_.begin(), crowd_.end(),
                         [this](const Waiting& buyer) { return buyer.rank < pacer_.threshold(); });
  }
  void Sell(int64_t units) { sale_->unsold -= units; }
  // So many more or fewer units are on sale, and as many are sold as before.
  void SetUnsold(int64_t units) {
    sale_->stock += units - sale_->unsold;
    sale_->unsold = units;
  }
  // For so long, this part of those let in buys 10 s later.
  RoomStep SellFor(absl::Duration lasting, double conversion) {
    RoomStep step;
    std::vector<int64_t> let_in;
    int64_t sold = 0;
    for (absl::Duration passed; passed < lasting; passed += absl::Milliseconds(500)) {
      step = Step();
      let_in.push_back(LetIn());
      if (let_in.size() <= 20) continue;
      const int64_t buyers = let_in[let_in.size() - 21] - let_in.front();
      const auto bought = static_cast<int64_t>(static_cast<double>(buyers) * conversion);
      Sell(bought - sold);
      sold = bought;
    }
    return step;
  }

  storage::FakeClock clock_;
  RoomPace pace_ = {
      .buyers_per_s = 100, .ahead = 2, .poll_interval = absl::Seconds(20), .token_lifetime = absl::Minutes(2)};
  std::optional<RoomSale> sale_ = RoomSale{.open = true, .unsold = 1'000'000, .stock = 1'000'000};
  RoomPacer pacer_{RoomStep()};
  std::vector<Waiting> crowd_;
};

TEST_F(RoomPacerTest, HoldsTheRateForAMinute) {
  JoinEarly(20'000);
  EXPECT_EQ(Step().threshold, 0u) << "there was no time yet";
  const RoomStep step = StepsFor(absl::Minutes(1));
  EXPECT_EQ(step.held, RoomBoards::HELD_UNSPECIFIED);
  EXPECT_NEAR(static_cast<double>(LetIn()), 6000, 120);
  EXPECT_NEAR(step.let_in_per_s, 100, 2);
  EXPECT_NEAR(step.leaving_per_s, 0, 0.001) << "nobody leaves";
  EXPECT_NEAR(static_cast<double>(step.waiting.total()), 14'000, 300) << "without those who were let in";
}

// Whoever was let in drops out of the bucket's count long before the threshold leaves the bucket.
TEST_F(RoomPacerTest, HoldsTheRateWhereABucketTakesManyIntervals) {
  pace_.poll_interval = absl::Seconds(4);
  pace_.buyers_per_s = 4;
  JoinEarly(25'600);
  Step();
  StepsFor(absl::Minutes(2));
  EXPECT_NEAR(static_cast<double>(LetIn()), 480, 24);
}

TEST_F(RoomPacerTest, LateOnesAreLetInAtTheRateToo) {
  pace_.buyers_per_s = 10;
  Step();
  for (int i = 0; i < 120; ++i) {
    for (int buyer = 0; buyer < 8; ++buyer) JoinLate(buyer * absl::Milliseconds(62));
    const RoomStep step = Step();
    EXPECT_LT(step.threshold, LateRank(clock_.Now()));
  }
  // Nobody waited in the first two seconds or so, and two seconds' worth may be made up for.
  EXPECT_THAT(LetIn(), AllOf(Ge(520), Le(620)));
}

TEST_F(RoomPacerTest, OneWhoComesAloneIsLetInSoon) {
  Step();
  EXPECT_EQ(StepsFor(absl::Minutes(1)).held, RoomBoards::HELD_NOBODY_WAITS);
  JoinLate();
  EXPECT_EQ(LetIn(), 0);
  StepsFor(absl::Seconds(3));
  EXPECT_EQ(LetIn(), 1);
  EXPECT_EQ(Step().held, RoomBoards::HELD_NOBODY_WAITS);
}

TEST_F(RoomPacerTest, APauseIsNotMadeUpFor) {
  JoinEarly(20'000);
  Step();
  StepsFor(absl::Seconds(10));
  int64_t before = LetIn();
  EXPECT_NEAR(static_cast<double>(before), 1000, 50);
  Step(absl::Minutes(1));
  EXPECT_NEAR(static_cast<double>(LetIn() - before), 200, 10);
  before = LetIn();
  StepsFor(absl::Seconds(10));
  EXPECT_NEAR(static_cast<double>(LetIn() - before), 1000, 50);
}

TEST_F(RoomPacerTest, ASilentLedgerHoldsAndIsNotMadeUpFor) {
  JoinEarly(20'000);
  Step();
  StepsFor(absl::Seconds(10));
  const int64_t before = LetIn();
  const std::optional<RoomSale> sale = std::exchange(sale_, std::nullopt);
  const RoomStep step = StepsFor(absl::Seconds(30));
  EXPECT_EQ(step.held, RoomBoards::HELD_LEDGER_SILENT);
  EXPECT_EQ(step.let_in_per_s, 0);
  EXPECT_EQ(LetIn(), before);
  sale_ = sale;
  EXPECT_EQ(Step().held, RoomBoards::HELD_UNSPECIFIED);
  EXPECT_LE(LetIn() - before, 210);
}

TEST_F(RoomPacerTest, NobodyIsLetInBeforeTheOpening) {
  JoinEarly(1000);
  sale_->open = false;
  const RoomStep step = StepsFor(absl::Seconds(30));
  EXPECT_EQ(step.held, RoomBoards::HELD_NOT_OPEN);
  EXPECT_EQ(step.threshold, 0u);
  EXPECT_EQ(step.waiting.total(), 1000u);
  sale_->open = true;
  Step();
  EXPECT_THAT(LetIn(), AllOf(Ge(45), Le(55))) << "nothing was saved up";
}

TEST_F(RoomPacerTest, ARateOfZeroHoldsUntilThereIsOne) {
  JoinEarly(1000);
  pace_.buyers_per_s = 0;
  const RoomStep step = StepsFor(absl::Seconds(30));
  EXPECT_EQ(step.held, RoomBoards::HELD_RATE_ZERO);
  EXPECT_EQ(step.threshold, 0u);
  pace_.buyers_per_s = 10;
  EXPECT_EQ(StepsFor(absl::Seconds(10)).held, RoomBoards::HELD_UNSPECIFIED);
  EXPECT_NEAR(static_cast<double>(LetIn()), 100, 10);
}

TEST_F(RoomPacerTest, LetsInSoManyAsBuyTwiceWhatIsUnsold) {
  JoinEarly(20'000);
  SetUnsold(100);
  const RoomStep step = StepsFor(absl::Seconds(30));
  EXPECT_EQ(step.held, RoomBoards::HELD_ENOUGH);
  EXPECT_EQ(step.conversion, 1) << "nobody had the time to buy yet";
  EXPECT_EQ(step.under_way, 200);
  EXPECT_NEAR(static_cast<double>(LetIn()), 200, 4);
  // 50 of them buy: 150 are under way, and 50 units unsold.
  Sell(50);
  EXPECT_EQ(StepsFor(absl::Seconds(5)).under_way, 150);
  EXPECT_NEAR(static_cast<double>(LetIn()), 200, 4);
  // They have not bought in time.
  StepsFor(absl::Seconds(145));
  EXPECT_GT(LetIn(), 200);
}

TEST_F(RoomPacerTest, UnitsThatComeBackAreSoldAnew) {
  JoinEarly(20'000);
  SetUnsold(100);
  StepsFor(absl::Seconds(10));
  Sell(100);
  RoomStep step = StepsFor(absl::Seconds(10));
  EXPECT_EQ(step.held, RoomBoards::HELD_ENOUGH);
  EXPECT_EQ(step.under_way, 100);
  const int64_t before = LetIn();
  // Not paid for in time. Who had them is not under way again.
  Sell(-80);
  step = StepsFor(absl::Seconds(10));
  EXPECT_EQ(step.under_way, 160);
  EXPECT_NEAR(static_cast<double>(LetIn() - before), 60, 4);
}

TEST_F(RoomPacerTest, WithOneUnitLeftOneIsLetIn) {
  JoinEarly(20'000);
  pace_.ahead = 0.1;
  SetUnsold(1);
  const RoomStep step = StepsFor(absl::Seconds(30));
  EXPECT_EQ(step.under_way, 1);
  EXPECT_EQ(step.held, RoomBoards::HELD_ENOUGH);
  SetUnsold(0);
  EXPECT_EQ(StepsFor(absl::Minutes(3)).under_way, 0);
}

TEST_F(RoomPacerTest, MeasuresHowManyBuy) {
  pace_ = {.buyers_per_s = 20, .ahead = 2, .poll_interval = absl::Seconds(10), .token_lifetime = absl::Seconds(30)};
  JoinEarly(12'000);
  Step();
  EXPECT_EQ(SellFor(absl::Seconds(35), 0.1).conversion, 1);
  // A little more than it is as long as the last ones have not had their time.
  const RoomStep step = SellFor(absl::Seconds(360), 0.1);
  EXPECT_THAT(step.conversion, AllOf(Ge(0.09), Le(0.13)));
  EXPECT_EQ(step.held, RoomBoards::HELD_UNSPECIFIED);
  // 720 are under way: too many for 20 units, of which each needs ten.
  SetUnsold(20);
  EXPECT_EQ(Step().held, RoomBoards::HELD_ENOUGH);
  SetUnsold(100);
  EXPECT_EQ(Step().held, RoomBoards::HELD_UNSPECIFIED);
}

TEST_F(RoomPacerTest, EachTwentiethIsTakenToBuyAtLeast) {
  pace_ = {.buyers_per_s = 20, .ahead = 2, .poll_interval = absl::Seconds(10), .token_lifetime = absl::Seconds(30)};
  JoinEarly(12'000);
  SetUnsold(1000);
  Step();
  EXPECT_EQ(StepsFor(absl::Seconds(120)).conversion, 0.05);
  SetUnsold(10);
  EXPECT_EQ(Step().held, RoomBoards::HELD_ENOUGH) << "800 under way are too many";
  SetUnsold(25);
  EXPECT_EQ(Step().held, RoomBoards::HELD_UNSPECIFIED);
}

TEST_F(RoomPacerTest, MeasuresHowManyLeave) {
  pace_.buyers_per_s = 10;
  JoinEarly(10'000);
  Step();
  std::mt19937 random(1);
  RoomStep step;
  for (int i = 0; i < 160; ++i) {
    std::erase_if(crowd_, [&](const Waiting&) { return random() % 1000 == 0; });
    step = Step();
  }
  EXPECT_NEAR(step.leaving_per_s, 0.002, 0.0005);
}

TEST_F(RoomPacerTest, ANewLeaderGoesOnFromWhatWasAnnounced) {
  JoinEarly(20'000);
  SetUnsold(1000);
  Step();
  const RoomStep found = StepsFor(absl::Seconds(15));
  const int64_t before = LetIn();
  EXPECT_NEAR(static_cast<double>(before), 1500, 30);
  pacer_ = RoomPacer(found);
  RoomStep step = Step();
  EXPECT_EQ(step.threshold, found.threshold);
  EXPECT_EQ(step.under_way, found.under_way);
  EXPECT_EQ(step.let_in_per_s, found.let_in_per_s);
  step = StepsFor(absl::Seconds(20));
  EXPECT_EQ(step.held, RoomBoards::HELD_ENOUGH);
  EXPECT_LE(LetIn(), 2060) << "the cap is 2000";
  // Only the threshold is known.
  pacer_ = RoomPacer(RoomStep{.threshold = step.threshold});
  EXPECT_EQ(Step().threshold, step.threshold);
  EXPECT_GT(StepsFor(absl::Seconds(2)).threshold, step.threshold);
}

TEST_F(RoomPacerTest, WhatCannotHaveBeenAnnouncedIsUnknown) {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  JoinEarly(1000);
  pacer_ = RoomPacer(
      RoomStep{.threshold = 5, .let_in_per_s = kNaN, .leaving_per_s = -1, .conversion = kNaN, .under_way = -7});
  const RoomStep step = Step();
  EXPECT_EQ(step.threshold, 5u);
  EXPECT_EQ(step.let_in_per_s, 0);
  EXPECT_EQ(step.leaving_per_s, 0);
  EXPECT_EQ(step.conversion, 1);
  EXPECT_EQ(step.under_way, 0);
}

TEST_F(RoomPacerTest, AClockThatIsSetBackStandsStill) {
  JoinEarly(20'000);
  Step();
  StepsFor(absl::Seconds(10));
  const uint64_t threshold = pacer_.threshold();
  const RoomCounts living = Living();
  EXPECT_EQ(pacer_.Step(clock_.Now() - absl::Hours(1), pace_, living, sale_).threshold, threshold);
  const RoomStep step = pacer_.Step(clock_.Now() - absl::Hours(1) + absl::Seconds(1), pace_, living, sale_);
  EXPECT_GT(step.threshold, threshold);
  EXPECT_EQ(step.held, RoomBoards::HELD_UNSPECIFIED);
}

void ExpectNumbers(const RoomStep& step) {
  for (const double value : {step.let_in_per_s, step.leaving_per_s, step.conversion}) {
    EXPECT_TRUE(std::isfinite(value)) << value;
    EXPECT_GE(value, 0);
  }
  EXPECT_LE(step.conversion, 1);
  EXPECT_GE(step.under_way, 0);
}

// Counts, sales and clocks that nobody would believe.
TEST(RoomPacerGarbageTest, TheThresholdNeverFallsNorPassesNow) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const absl::Time began_at = absl::UnixEpoch() + absl::Hours(24 * 365);
    RoomPacer pacer{RoomStep()};
    absl::Time now = began_at;
    uint64_t threshold = 0;
    for (int i = 0; i < 500; ++i) {
      now += absl::Milliseconds(static_cast<int64_t>(random() % 3000) - 500);
      if (random() % 50 == 0) now = began_at + absl::Seconds(static_cast<int64_t>(random() % 100'000));
      // Of any size.
      const auto any = [&random] {
        const uint64_t shift = 1 + random() % 60;
        return random() >> shift;
      };
      RoomCounts living;
      for (uint64_t bucket = random() % 20; bucket > 0; --bucket) {
        const bool late = random() % 2 == 0;
        const uint64_t rank = late ? LateRank(now) - random() % 1'000'000'000 : random();
        living.Add(rank, any());
      }
      std::optional<RoomSale> sale;
      if (random() % 10 != 0) {
        const bool open = random() % 10 != 0;
        const auto unsold = static_cast<int64_t>(any()) - 5;
        sale = RoomSale{.open = open, .unsold = unsold, .stock = static_cast<int64_t>(any()) - 5};
      }
      const RoomPace pace = {.buyers_per_s = static_cast<int32_t>(random() % 1'000'001),
                             .ahead = static_cast<double>(random() % 100),
                             .poll_interval = absl::Milliseconds(static_cast<int64_t>(random() % 60'000)),
                             .token_lifetime = absl::Seconds(static_cast<int64_t>(random() % 1000))};
      const RoomStep step = pacer.Step(now, pace, living, sale);
      ExpectNumbers(step);
      ASSERT_GE(step.threshold, threshold);
      if (step.threshold > threshold) {
        ASSERT_LE(step.threshold, LateRank(now));
      }
      threshold = step.threshold;
    }
    EXPECT_GT(threshold, 0u);
  }
}

}  // namespace
}  // namespace tranche::server
