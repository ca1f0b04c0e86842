#include "server/admission/turn_queue.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "storage/clock.h"

namespace tranche::server {
namespace {

class TurnQueueTest : public ::testing::Test {
 protected:
  bool Park(absl::Duration wait, const std::string& name) {
    return queue_.Park(clock_.Now() + wait, [this, name] { called_ += name; });
  }

  storage::FakeClock clock_;
  size_t elsewhere_ = 0;
  std::string called_;
  TurnQueue queue_{&clock_, /*max_waiting=*/5, [this] { return elsewhere_; }};
};

TEST_F(TurnQueueTest, CallsWhoseTimeHasComeInTheOrderOfTheirTimes) {
  ASSERT_TRUE(Park(absl::Milliseconds(30), "c"));
  ASSERT_TRUE(Park(absl::Milliseconds(10), "a"));
  ASSERT_TRUE(Park(absl::Milliseconds(40), "d"));
  ASSERT_TRUE(Park(absl::Milliseconds(20), "b"));
  EXPECT_EQ(queue_.waiting(), 4u);
  queue_.CallDue();
  EXPECT_EQ(called_, "");
  clock_.AdvanceBy(absl::Milliseconds(30));
  queue_.CallDue();
  EXPECT_EQ(called_, "abc");
  EXPECT_EQ(queue_.waiting(), 1u);
  queue_.CallDue();
  EXPECT_EQ(called_, "abc");
  clock_.AdvanceBy(absl::Milliseconds(10));
  queue_.CallDue();
  EXPECT_EQ(called_, "abcd");
  EXPECT_EQ(queue_.waiting(), 0u);
}

TEST_F(TurnQueueTest, AtTheSameTimeWhoCameFirstGoesFirst) {
  for (const char* name : {"a", "b", "c", "d", "e"}) ASSERT_TRUE(Park(absl::Milliseconds(10), name));
  clock_.AdvanceBy(absl::Milliseconds(10));
  queue_.CallDue();
  EXPECT_EQ(called_, "abcde");
}

TEST_F(TurnQueueTest, SharesItsBoundWithThoseWhoWaitElsewhere) {
  elsewhere_ = 3;
  EXPECT_TRUE(queue_.HasRoom());
  EXPECT_TRUE(Park(absl::Seconds(1), "a"));
  EXPECT_TRUE(queue_.HasRoom());
  EXPECT_TRUE(Park(absl::Seconds(1), "b"));
  EXPECT_FALSE(queue_.HasRoom());
  elsewhere_ = 2;
  EXPECT_TRUE(queue_.HasRoom());
  clock_.AdvanceBy(absl::Seconds(1));
  queue_.CallDue();
  elsewhere_ = 5;
  EXPECT_FALSE(queue_.HasRoom());
  elsewhere_ = 4;
  EXPECT_TRUE(queue_.HasRoom());
}

// Two may have asked whether there is room for one, and both are counted by then.
TEST_F(TurnQueueTest, NobodyIsTurnedAwayWhoHasAsked) {
  elsewhere_ = 5;
  EXPECT_TRUE(Park(absl::Seconds(1), "a"));
  clock_.AdvanceBy(absl::Seconds(1));
  queue_.CallDue();
  EXPECT_EQ(called_, "a");
}

TEST_F(TurnQueueTest, WhatIsRefusedIsDroppedAndNotCalled) {
  queue_.End();
  const auto kept = std::make_shared<int>(0);
  EXPECT_FALSE(queue_.Park(clock_.Now(), [kept] { ++*kept; }));
  EXPECT_EQ(kept.use_count(), 1);
  EXPECT_EQ(*kept, 0);
}

TEST_F(TurnQueueTest, WithoutAnywhereElseItsBoundIsItsOwn) {
  TurnQueue queue(&clock_, 1, {});
  EXPECT_TRUE(queue.HasRoom());
  EXPECT_TRUE(queue.Park(clock_.Now(), [] {}));
  EXPECT_FALSE(queue.HasRoom());
}

// Such as a claim that waits for its next limit: the lock is not held.
TEST_F(TurnQueueTest, WhoIsCalledMayParkAgain) {
  int calls = 0;
  ASSERT_TRUE(queue_.Park(clock_.Now(), [&] {
    ++calls;
    EXPECT_TRUE(queue_.Park(clock_.Now(), [&] { ++calls; }));
    EXPECT_EQ(queue_.waiting(), 1u);
  }));
  queue_.CallDue();
  EXPECT_EQ(calls, 1);
  queue_.CallDue();
  EXPECT_EQ(calls, 2);
}

TEST_F(TurnQueueTest, AtItsEndAllAreCalledAndNobodyParksAnyMore) {
  ASSERT_TRUE(Park(absl::Hours(2), "b"));
  ASSERT_TRUE(Park(absl::Hours(1), "a"));
  ASSERT_TRUE(queue_.Park(absl::InfiniteFuture(), [this] {
    called_ += "c";
    EXPECT_FALSE(Park(absl::ZeroDuration(), "d"));
  }));
  queue_.End();
  EXPECT_EQ(called_, "abc");
  EXPECT_EQ(queue_.waiting(), 0u);
  EXPECT_FALSE(Park(absl::ZeroDuration(), "e"));
  queue_.End();
  EXPECT_EQ(called_, "abc");
}

TEST_F(TurnQueueTest, WhoeverEndsItCallsAll) {
  int calls = 0;
  {
    TurnQueue queue(&clock_, 5, {});
    ASSERT_TRUE(queue.Park(absl::InfiniteFuture(), [&] { ++calls; }));
  }
  EXPECT_EQ(calls, 1);
}

TEST_F(TurnQueueTest, ManyThreadsParkAndEachIsCalledOnce) {
  constexpr int kThreads = 4;
  constexpr int kTurns = 2'000;
  TurnQueue queue(&clock_, kThreads * kTurns, {});
  std::atomic<int> parked{0};
  std::atomic<int> called{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < kTurns; ++turn) {
        // Half of them are due at once.
        const absl::Time until = clock_.Now() + absl::Hours(turn % 2);
        if (queue.Park(until, [&] { ++called; })) ++parked;
      }
    });
  }
  for (int round = 0; round < 200; ++round) queue.CallDue();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(parked.load(), kThreads * kTurns);
  EXPECT_LT(called.load(), parked.load());
  queue.End();
  EXPECT_EQ(called.load(), parked.load());
}

}  // namespace
}  // namespace tranche::server
