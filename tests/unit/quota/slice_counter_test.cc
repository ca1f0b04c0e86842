#include "quota/slices/slice_counter.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace tranche::quota {
namespace {

TEST(SliceCounterTest, GrantsWhatIsAllottedAndNoMore) {
  SliceCounter counter;
  EXPECT_FALSE(counter.TryTake(1));
  ASSERT_TRUE(counter.Apply(3, 1));
  EXPECT_TRUE(counter.TryTake(2));
  EXPECT_FALSE(counter.TryTake(2));
  EXPECT_TRUE(counter.TryTake(1));
  EXPECT_FALSE(counter.TryTake(1));
}

TEST(SliceCounterTest, TheSameAnnouncementTwiceChangesNothing) {
  SliceCounter counter;
  ASSERT_TRUE(counter.Apply(3, 5));
  ASSERT_TRUE(counter.TryTake(3));
  EXPECT_FALSE(counter.Apply(3, 5));
  EXPECT_EQ(counter.free(), 0);
}

TEST(SliceCounterTest, AnOlderAnnouncementNeverReplacesANewer) {
  SliceCounter counter;
  ASSERT_TRUE(counter.Apply(3, 5));
  EXPECT_FALSE(counter.Apply(100, 4));
  EXPECT_EQ(counter.free(), 3);
  EXPECT_EQ(counter.version(), 5);
}

// Field: "a changed limit is ignored" (gubernator#37).
TEST(SliceCounterTest, AChangedLimitCountsAtOnce) {
  SliceCounter counter;
  ASSERT_TRUE(counter.Apply(10, 1));
  ASSERT_TRUE(counter.TryTake(4));
  ASSERT_TRUE(counter.Apply(15, 3));  // version 2 was missed: announcements are cumulative
  EXPECT_EQ(counter.free(), 11);
}

TEST(SliceCounterTest, WithdrawnUnitsInFlightLeaveItBelowZeroUntilTheyReturn) {
  SliceCounter counter;
  ASSERT_TRUE(counter.Apply(5, 1));
  ASSERT_TRUE(counter.TryTake(5));
  ASSERT_TRUE(counter.Apply(3, 2));
  EXPECT_EQ(counter.free(), -2);
  EXPECT_FALSE(counter.TryTake(1));
  counter.GiveBack(2);
  EXPECT_FALSE(counter.TryTake(1));
  counter.GiveBack(1);
  EXPECT_TRUE(counter.TryTake(1));
}

TEST(SliceCounterTest, ManyThreadsTakeExactlyWhatWasAllotted) {
  SliceCounter counter;
  constexpr int kAllotted = 20000;
  std::atomic<int> taken{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < kAllotted; ++n) {
        if (!counter.TryTake(1)) continue;
        taken.fetch_add(1);
        if (n % 10 == 0) {
          taken.fetch_sub(1);
          counter.GiveBack(1);
        }
      }
    });
  }
  for (int version = 1; version <= 200; ++version) counter.Apply(kAllotted / 200 * version, version);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(taken.load() + counter.free(), kAllotted);
  EXPECT_GE(counter.free(), 0);
}

}  // namespace
}  // namespace tranche::quota
