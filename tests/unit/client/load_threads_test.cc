// The threads of scenarios: TaskThreads and TimerQueue.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "client/load/task_threads.h"
#include "client/load/timer_queue.h"

namespace tranche::load {
namespace {

TEST(TaskThreadsTest, TakesWhatItHasThreadsAndPlacesFor) {
  absl::Notification go_on;
  std::atomic<int> done = 0;
  {
    TaskThreads threads(2, 1);
    const auto task = [&] {
      go_on.WaitForNotification();
      ++done;
    };
    // Whether the threads have begun by now or not.
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(threads.TryRun(task)) << i;
    EXPECT_FALSE(threads.TryRun(task));
    go_on.Notify();
  }
  EXPECT_EQ(done, 3) << "its end waits for all of them";
}

TEST(TaskThreadsTest, AFreeThreadTakesTheNextTask) {
  TaskThreads threads(1, 0);
  for (int i = 0; i < 100; ++i) {
    auto done = std::make_shared<absl::Notification>();
    // The thread may not be back yet from the last one.
    while (!threads.TryRun([done] { done->Notify(); })) absl::SleepFor(absl::Microseconds(100));
    done->WaitForNotification();
  }
}

TEST(TimerQueueTest, RunsTasksInTheOrderOfTheirTimesAndAllAtItsEnd) {
  std::vector<int> ran;
  absl::Notification first;
  {
    TimerQueue timers;
    const absl::Time now = absl::Now();
    timers.RunAt(now + absl::Hours(2), [&] { ran.push_back(3); });
    timers.RunAt(now + absl::Hours(1), [&] { ran.push_back(2); });
    timers.RunAt(now + absl::Milliseconds(1), [&] {
      ran.push_back(1);
      first.Notify();
    });
    first.WaitForNotification();
    EXPECT_EQ(ran.size(), 1u);
  }
  EXPECT_EQ(ran, (std::vector<int>{1, 2, 3}));
}

TEST(TimerQueueTest, InAHurryNothingIsWaitedFor) {
  TimerQueue timers;
  absl::Notification before, after;
  timers.RunAt(absl::Now() + absl::Hours(1), [&] { before.Notify(); });
  timers.Hurry();
  before.WaitForNotification();
  timers.RunAt(absl::Now() + absl::Hours(1), [&] { after.Notify(); });
  after.WaitForNotification();
}

}  // namespace
}  // namespace tranche::load
