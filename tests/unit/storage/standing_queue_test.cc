#include "storage/pipeline/standing_queue.h"

#include "gtest/gtest.h"

namespace tranche::storage {
namespace {

constexpr absl::Duration kStep = absl::Milliseconds(50);
constexpr absl::Duration kLong = StandingQueue::kTarget + absl::Milliseconds(1);
constexpr absl::Duration kShort = StandingQueue::kTarget / 4 - absl::Milliseconds(1);

class StandingQueueTest : public ::testing::Test {
 protected:
  void Take(absl::Duration waited, absl::Duration for_so_long) {
    for (const absl::Time end = now_ + for_so_long; now_ < end; now_ += kStep) queue_.NoteTaken(waited, now_);
  }

  StandingQueue queue_;
  absl::Time now_ = absl::FromUnixSeconds(1'000);
};

TEST_F(StandingQueueTest, ABurstIsNone) {
  Take(kLong, StandingQueue::kInterval - kStep);
  Take(kShort, kStep);
  Take(kLong, StandingQueue::kInterval);
  EXPECT_FALSE(queue_.stands()) << "between the two, somebody did not wait";
}

TEST_F(StandingQueueTest, StandsUntilTheWaitsAreShortForAsLong) {
  Take(kLong, StandingQueue::kInterval + kStep);
  EXPECT_TRUE(queue_.stands());
  Take(StandingQueue::kTarget / 2, 3 * StandingQueue::kInterval);
  EXPECT_TRUE(queue_.stands()) << "so it looks while it is kept short";
  Take(kShort, StandingQueue::kInterval - kStep);
  EXPECT_TRUE(queue_.stands());
  Take(kShort, 2 * kStep);
  EXPECT_FALSE(queue_.stands());
}

TEST_F(StandingQueueTest, WhatWasLongAgoIsForgotten) {
  Take(kLong, StandingQueue::kInterval + kStep);
  now_ += StandingQueue::kInterval;
  Take(kLong, kStep);
  EXPECT_FALSE(queue_.stands());
}

TEST_F(StandingQueueTest, AClockThatWasSetBackBeginsAnew) {
  Take(kLong, StandingQueue::kInterval + kStep);
  now_ -= absl::Hours(1);
  Take(kLong, kStep);
  EXPECT_FALSE(queue_.stands());
}

}  // namespace
}  // namespace tranche::storage
