#include "storage/shared_threads.h"

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace tranche::storage {
namespace {

constexpr absl::Duration kLong = absl::Seconds(10);

// Calls that hold their threads until they are released.
class HeldCalls {
 public:
  // Hands them over; false if one was not taken.
  bool Start(Executor* executor, int count) {
    for (int i = 0; i < count; ++i) {
      absl::AnyInvocable<void()> task = [this] { Hold(); };
      if (!executor->TryRun(task)) return false;
    }
    return true;
  }
  // Waits until so many hold a thread each.
  bool AwaitRunning(int count) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return running_ >= count; };
    return mutex_.AwaitWithTimeout(absl::Condition(&enough), kLong);
  }
  int running() {
    absl::MutexLock lock(&mutex_);
    return running_;
  }
  void Release() {
    absl::MutexLock lock(&mutex_);
    released_ = true;
  }

 private:
  void Hold() {
    absl::MutexLock lock(&mutex_);
    ++running_;
    mutex_.Await(absl::Condition(&released_));
    --running_;
  }

  absl::Mutex mutex_;
  int running_ ABSL_GUARDED_BY(mutex_) = 0;
  bool released_ ABSL_GUARDED_BY(mutex_) = false;
};

// The threads cannot end before. Declared behind them, and the calls before them: the threads' last calls use those.
class ReleaseAtEnd {
 public:
  explicit ReleaseAtEnd(HeldCalls* calls) : calls_(calls) {}
  ~ReleaseAtEnd() { calls_->Release(); }
  ReleaseAtEnd(const ReleaseAtEnd&) = delete;
  ReleaseAtEnd& operator=(const ReleaseAtEnd&) = delete;

 private:
  HeldCalls* const calls_;
};

// Whether the call gets a thread.
bool Runs(Executor* executor) {
  const auto ran = std::make_shared<absl::Notification>();
  absl::AnyInvocable<void()> task = [ran] { ran->Notify(); };
  return executor->TryRun(task) && ran->WaitForNotificationWithTimeout(kLong);
}

TEST(SharedThreadsTest, CallsOfOneKindLeaveTheOthersTheirThreads) {
  HeldCalls slow;
  SharedThreads threads(4, {{.reserved = 1, .max_queue = 100}, {.reserved = 1, .max_queue = 100}});
  const ReleaseAtEnd release(&slow);
  ASSERT_TRUE(slow.Start(threads.Of(0), 20));
  ASSERT_TRUE(slow.AwaitRunning(3));
  // All calls of the other kind find the thread that is left to them.
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(Runs(threads.Of(1)));
  EXPECT_EQ(slow.running(), 3) << "three of four threads, of which one is reserved for them";
  EXPECT_EQ(threads.Of(0)->queued(), 17u);
  EXPECT_EQ(threads.Of(1)->queued(), 0u);
}

TEST(SharedThreadsTest, WhatIsReservedIsKeptFromBothSides) {
  HeldCalls first, third;
  SharedThreads threads(
      3, {{.reserved = 1, .max_queue = 100}, {.reserved = 1, .max_queue = 100}, {.reserved = 0, .max_queue = 100}});
  const ReleaseAtEnd release_first(&first), release_third(&third);
  ASSERT_TRUE(first.Start(threads.Of(0), 20));
  ASSERT_TRUE(third.Start(threads.Of(2), 20));
  ASSERT_TRUE(first.AwaitRunning(1));
  EXPECT_TRUE(Runs(threads.Of(1)));
  EXPECT_LE(first.running() + third.running(), 2);
  first.Release();
  third.Release();
  EXPECT_TRUE(Runs(threads.Of(2)));
}

TEST(SharedThreadsTest, KindsThatShareAThreadTakeTurns) {
  HeldCalls gate;
  std::vector<int> order;  // only on the one thread, and read when all have run
  absl::BlockingCounter left(6);
  SharedThreads threads(1, {{.reserved = 0, .max_queue = 100}, {.reserved = 0, .max_queue = 100}});
  const ReleaseAtEnd release(&gate);
  ASSERT_TRUE(gate.Start(threads.Of(0), 1));
  ASSERT_TRUE(gate.AwaitRunning(1));
  const auto add = [&](size_t kind, int number) {
    absl::AnyInvocable<void()> task = [&order, &left, number] {
      order.push_back(number);
      left.DecrementCount();
    };
    EXPECT_TRUE(threads.Of(kind)->TryRun(task));
  };
  for (const int number : {1, 2, 3, 4}) add(0, number);
  for (const int number : {11, 12}) add(1, number);
  gate.Release();
  left.Wait();
  EXPECT_EQ(order, (std::vector<int>{11, 1, 12, 2, 3, 4}));
}

TEST(SharedThreadsTest, EachKindHasABoundOfItsOwn) {
  HeldCalls slow;
  SharedThreads threads(2, {{.reserved = 1, .max_queue = 3}, {.reserved = 1, .max_queue = 1}});
  const ReleaseAtEnd release(&slow);
  ASSERT_TRUE(slow.Start(threads.Of(0), 1));
  ASSERT_TRUE(slow.AwaitRunning(1));
  EXPECT_TRUE(slow.Start(threads.Of(0), 3));
  EXPECT_FALSE(slow.Start(threads.Of(0), 1));
  EXPECT_TRUE(Runs(threads.Of(1)));
}

TEST(SharedThreadsTest, TheEndRunsWhatWaits) {
  std::atomic<int> ran = 0;
  {
    SharedThreads threads(2, {{.reserved = 1, .max_queue = 100}, {.reserved = 1, .max_queue = 100}});
    for (int i = 0; i < 100; ++i) {
      absl::AnyInvocable<void()> task = [&ran] { ++ran; };
      EXPECT_TRUE(threads.Of(i % 2 == 0 ? 0 : 1)->TryRun(task));
    }
  }
  EXPECT_EQ(ran, 100);
}

}  // namespace
}  // namespace tranche::storage
