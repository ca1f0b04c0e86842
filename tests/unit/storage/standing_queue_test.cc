#include "storage/pipeline/standing_queue.h"

#include "gtest/gtest.h"

namespace tranche::storage {
namespace {

const absl::Duration kBatchEvery = absl::Milliseconds(50);
const absl::Duration kTooLong = StandingQueue::kTarget + absl::Milliseconds(1);
const absl::Duration kShortWait = StandingQueue::kTarget / 2 - absl::Milliseconds(1);

class StandingQueueTest : public ::testing::Test {
 protected:
  void Take(absl::Duration waited, absl::Duration for_so_long, bool emptied = false,
            absl::Duration step = kBatchEvery) {
    for (const absl::Time end = now_ + for_so_long; now_ < end; now_ += step) queue_.NoteTaken(waited, emptied, now_);
  }

  StandingQueue queue_;
  absl::Time now_ = absl::FromUnixSeconds(1'000);
};

TEST_F(StandingQueueTest, ABurstIsNone) {
  Take(kTooLong, StandingQueue::kInterval - kBatchEvery);
  Take(kShortWait, kBatchEvery);
  Take(kTooLong, StandingQueue::kInterval);
  EXPECT_FALSE(queue_.stands(now_)) << "between the two, somebody did not wait";
}

TEST_F(StandingQueueTest, StandsUntilTheWaitsAreShortForAsLong) {
  Take(kTooLong, StandingQueue::kInterval + kBatchEvery);
  EXPECT_TRUE(queue_.stands(now_));
  Take(StandingQueue::kTarget / 2, 3 * StandingQueue::kInterval);
  EXPECT_TRUE(queue_.stands(now_)) << "so it looks while it is kept short";
  Take(kShortWait, StandingQueue::kInterval - kBatchEvery);
  EXPECT_TRUE(queue_.stands(now_));
  Take(kShortWait, 2 * kBatchEvery);
  EXPECT_FALSE(queue_.stands(now_));
}

TEST_F(StandingQueueTest, AQueueThatABatchEmptiesDoesNotStand) {
  Take(kTooLong, 3 * StandingQueue::kInterval, /*emptied=*/true);
  EXPECT_FALSE(queue_.stands(now_)) << "the ledger is slow, that is all";
  Take(kTooLong, StandingQueue::kInterval + kBatchEvery);
  ASSERT_TRUE(queue_.stands(now_));
  Take(kTooLong, StandingQueue::kInterval + kBatchEvery, /*emptied=*/true);
  EXPECT_FALSE(queue_.stands(now_));
}

TEST_F(StandingQueueTest, AlsoStandsWhereBatchesAreFarBetween) {
  Take(absl::Seconds(5), absl::Seconds(9), /*emptied=*/false, absl::Seconds(3));
  EXPECT_TRUE(queue_.stands(now_));
}

TEST_F(StandingQueueTest, TellsTheLastWaitForAWhile) {
  EXPECT_EQ(queue_.last_wait(now_), absl::ZeroDuration());
  queue_.NoteTaken(kTooLong, /*emptied=*/true, now_);
  EXPECT_EQ(queue_.last_wait(now_), kTooLong) << "also where nobody else waits";
  EXPECT_EQ(queue_.last_wait(now_ + StandingQueue::kInterval), kTooLong);
  EXPECT_EQ(queue_.last_wait(now_ + 2 * StandingQueue::kInterval), absl::ZeroDuration());
}

TEST_F(StandingQueueTest, WhatWasLongAgoIsForgotten) {
  Take(kTooLong, StandingQueue::kInterval + kBatchEvery);
  EXPECT_TRUE(queue_.stands(now_));
  now_ += StandingQueue::kInterval;
  EXPECT_FALSE(queue_.stands(now_)) << "nobody has come since then";
  Take(kTooLong, kBatchEvery);
  EXPECT_FALSE(queue_.stands(now_));
}

TEST_F(StandingQueueTest, AClockThatWasSetBackBeginsAnew) {
  Take(kTooLong, StandingQueue::kInterval + kBatchEvery);
  now_ -= absl::Hours(1);
  Take(kTooLong, kBatchEvery);
  EXPECT_FALSE(queue_.stands(now_));
}

}  // namespace
}  // namespace tranche::storage
