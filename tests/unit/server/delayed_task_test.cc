#include "server/process/delayed_task.h"

#include <atomic>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace tranche::server {
namespace {

TEST(DelayedTask, RunsOnceWhenItIsTime) {
  std::atomic<int> runs{0};
  absl::Notification ran;
  {
    DelayedTask task(absl::Milliseconds(1), [&] {
      ++runs;
      ran.Notify();
    });
    EXPECT_TRUE(ran.WaitForNotificationWithTimeout(absl::Seconds(20)));
  }
  EXPECT_EQ(runs, 1);
}

TEST(DelayedTask, IsNotRunWhenItIsNoLongerWanted) {
  bool ran = false;
  {
    const DelayedTask task(absl::Hours(1), [&] { ran = true; });
  }
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace tranche::server
