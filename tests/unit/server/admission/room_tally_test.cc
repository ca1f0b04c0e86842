#include "server/admission/room_tally.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "server/admission/room_rank.h"

namespace tranche::server {
namespace {

constexpr absl::Duration kTallyWindow = absl::Seconds(20);
const absl::Time kTallyStart = absl::FromUnixSeconds(1'800'000'000);

absl::Time TallyAt(double seconds) { return kTallyStart + absl::Seconds(seconds); }

TEST(RoomTallyTest, CountsWhoAskedWithinTheWindow) {
  RoomTally tally(kTallyWindow);
  EXPECT_EQ(tally.Living(TallyAt(0)), RoomCounts());
  tally.Count(7, TallyAt(0));
  tally.Count(LateRank(TallyAt(3)), TallyAt(3));
  EXPECT_EQ(tally.Living(TallyAt(3)).shuffled(), 1u);
  EXPECT_EQ(tally.Living(TallyAt(3)).late(), 1u);
  EXPECT_EQ(tally.Living(TallyAt(20)).total(), 2u) << "the whole window";
  EXPECT_EQ(tally.Living(TallyAt(22)).shuffled(), 0u) << "gone with a tenth more";
  EXPECT_EQ(tally.Living(TallyAt(22)).late(), 1u);
  EXPECT_EQ(tally.Living(TallyAt(25)), RoomCounts());
}

// All of the last window, and nobody from more than a tenth before it.
TEST(RoomTallyTest, AWindowSlides) {
  constexpr int64_t kSecondUs = 1'000'000;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    std::mt19937_64 random(seed);
    RoomTally tally(kTallyWindow);
    std::vector<int64_t> asked_us;
    int64_t now_us = 0;
    for (int i = 0; i < 2'000; ++i) {
      now_us += static_cast<int64_t>(random() % 100'000);
      asked_us.push_back(now_us);
      const absl::Time now = kTallyStart + absl::Microseconds(now_us);
      tally.Count(random(), now);
      uint64_t least = 0;
      uint64_t most = 0;
      for (const int64_t at_us : asked_us) {
        if (at_us > now_us - 20 * kSecondUs) ++least;
        if (at_us > now_us - 22 * kSecondUs) ++most;
      }
      const uint64_t living = tally.Living(now).total();
      ASSERT_GE(living, least) << seed;
      ASSERT_LE(living, most) << seed;
    }
  }
}

// As buyers do by EnterRoom: after one interval to one and a tenth. In the middle of all moments each is counted once.
TEST(RoomTallyTest, WhoComesBackAsToldIsCountedOnce) {
  constexpr int kWaiting = 1'000;
  RoomTally tally(kTallyWindow);
  std::mt19937_64 random(3);
  std::vector<double> due;
  for (int i = 0; i < kWaiting; ++i) due.push_back(static_cast<double>(random() % 20'000) / 1'000);
  double sum = 0;
  int looks = 0;
  for (int tick = 0; tick < 2'000; ++tick) {
    const double now_s = tick * 0.1;
    for (int i = 0; i < kWaiting; ++i) {
      if (due[static_cast<size_t>(i)] > now_s) continue;
      tally.Count(random() >> 1, TallyAt(now_s));
      due[static_cast<size_t>(i)] = now_s + 20.0 * (1'000 + i % 101) / 1'000;
    }
    if (now_s < 50) continue;
    sum += static_cast<double>(tally.Living(TallyAt(now_s)).total());
    ++looks;
  }
  EXPECT_NEAR(sum / looks, kWaiting, 0.03 * kWaiting);
}

TEST(RoomTallyTest, WhoStopsAskingDropsOut) {
  RoomTally tally(kTallyWindow);
  for (int i = 0; i < 900; ++i) tally.Count(1, TallyAt(i * 0.01));
  for (int i = 0; i < 100; ++i) tally.Count(2, TallyAt(9 + i * 0.01));
  for (int i = 0; i < 100; ++i) tally.Count(2, TallyAt(29.5 + i * 0.001));
  EXPECT_EQ(tally.Living(TallyAt(32.5)).total(), 100u);
}

TEST(RoomTallyTest, BucketsAreNarrowAgainWhenTheEarliestHasGone) {
  RoomTally tally(kTallyWindow);
  tally.Count(LateRank(TallyAt(-100'000)), TallyAt(0));
  tally.Count(LateRank(TallyAt(0)), TallyAt(5));
  EXPECT_GT(tally.Living(TallyAt(5)).ToMessage().late_width_s(), 256);
  EXPECT_EQ(tally.Living(TallyAt(23)).ToMessage().late_width_s(), 1);
}

TEST(RoomTallyTest, AClockThatIsSetBackStandsStill) {
  RoomTally tally(kTallyWindow);
  tally.Count(1, TallyAt(0));
  tally.Count(2, TallyAt(15));
  tally.Count(3, TallyAt(5));
  EXPECT_EQ(tally.Living(TallyAt(0)).total(), 3u);
  EXPECT_EQ(tally.Living(TallyAt(34)).total(), 2u) << "the last counts as of the latest time";
  EXPECT_EQ(tally.Living(TallyAt(37)).total(), 0u);
}

// Otherwise nobody would drop out until the clock is as far again.
TEST(RoomTallyTest, AClockThatIsSetBackFarBeginsAnew) {
  RoomTally tally(kTallyWindow);
  tally.Count(1, TallyAt(3'600));
  tally.Count(2, TallyAt(0));
  EXPECT_EQ(tally.Living(TallyAt(0)).total(), 1u);
  EXPECT_EQ(tally.Living(TallyAt(22)).total(), 0u);
}

TEST(RoomTallyTest, ThreadsLoseNobody) {
  RoomTally tally(kTallyWindow);
  std::vector<std::thread> threads;
  for (uint64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&tally, thread] {
      for (int i = 0; i < 2'000; ++i) {
        tally.Count(thread << 60, TallyAt(i * 0.005));
        if (i % 100 == 0) tally.Living(TallyAt(i * 0.005));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const RoomCounts living = tally.Living(TallyAt(10));
  EXPECT_EQ(living.total(), 8'000u);
  EXPECT_EQ(living.Between(0, uint64_t{1} << 55), 2'000);
}

}  // namespace
}  // namespace tranche::server
