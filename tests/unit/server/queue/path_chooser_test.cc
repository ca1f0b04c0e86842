#include "server/queue/path_chooser.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace tranche::server {
namespace {

using ChosenWay = quota::ClaimDiversion::Way;

constexpr absl::Duration kNoteEvery = absl::Milliseconds(100);

class ShardPaceTest : public ::testing::Test {
 protected:
  void Wait(absl::Duration waited, absl::Duration for_so_long, bool answers = true) {
    for (const absl::Time end = now_ + for_so_long; now_ < end; now_ += kNoteEvery) pace_.Note(answers, waited, now_);
  }

  ShardPace pace_;
  absl::Time now_ = absl::FromUnixSeconds(1'000);
};

TEST_F(ShardPaceTest, IsSlowOnceClaimsHaveWaitedForASecond) {
  Wait(kSlowWait + absl::Milliseconds(1), kSlowFor);
  EXPECT_FALSE(pace_.slow());
  Wait(kSlowWait + absl::Milliseconds(1), kNoteEvery);
  EXPECT_TRUE(pace_.slow());
}

TEST_F(ShardPaceTest, AMomentWithoutAWaitBeginsAnew) {
  Wait(absl::Seconds(1), kSlowFor);
  Wait(absl::ZeroDuration(), kNoteEvery);
  Wait(absl::Seconds(1), kSlowFor);
  EXPECT_FALSE(pace_.slow());
}

TEST_F(ShardPaceTest, IsFastAgainOnlyAfterShortWaits) {
  Wait(absl::Seconds(1), kSlowFor + kNoteEvery);
  ASSERT_TRUE(pace_.slow());
  Wait(kFastAgain, 5 * kFastFor);
  EXPECT_TRUE(pace_.slow()) << "between the two bounds it stays as it is";
  Wait(kFastAgain - absl::Milliseconds(1), kFastFor);
  EXPECT_TRUE(pace_.slow());
  Wait(kFastAgain - absl::Milliseconds(1), kNoteEvery);
  EXPECT_FALSE(pace_.slow());
  Wait(kSlowWait, 5 * kSlowFor);
  EXPECT_FALSE(pace_.slow());
}

TEST_F(ShardPaceTest, OneThatIsDownIsSlowAtOnceAndForAWhileAfterwards) {
  Wait(absl::ZeroDuration(), kNoteEvery, /*answers=*/false);
  EXPECT_TRUE(pace_.slow());
  Wait(absl::ZeroDuration(), kFastFor);
  EXPECT_TRUE(pace_.slow());
  Wait(absl::ZeroDuration(), kNoteEvery);
  EXPECT_FALSE(pace_.slow());
}

TEST_F(ShardPaceTest, AClockThatIsSetBackDelaysIt) {
  Wait(absl::Seconds(1), kSlowFor);
  now_ -= absl::Hours(1);
  Wait(absl::Seconds(1), kSlowFor);
  EXPECT_FALSE(pace_.slow());
  Wait(absl::Seconds(1), kNoteEvery);
  EXPECT_TRUE(pace_.slow());
}

TEST(ChoosePathTest, DirectClaimsAreSoldWhateverElse) {
  EXPECT_EQ(ChoosePath({.accept_queued = true, .has_queue = true, .shard_slow = true, .backlog = 5}), ChosenWay::kSell);
}

TEST(ChoosePathTest, WhatIsOnlyQueuedIsNeverSold) {
  for (const bool has_queue : {false, true}) {
    for (const bool slow : {false, true}) {
      PathView view{.path = storage::ClaimPath::kQueue, .has_queue = has_queue, .shard_slow = slow};
      EXPECT_EQ(ChoosePath(view), ChosenWay::kRefuse);
      view.accept_queued = true;
      EXPECT_EQ(ChoosePath(view), ChosenWay::kQueue);
    }
  }
}

TEST(ChoosePathTest, AutoQueuesWhileTheShardIsSlowOrTheQueueHasClaims) {
  PathView view{.path = storage::ClaimPath::kAuto, .accept_queued = true, .has_queue = true};
  EXPECT_EQ(ChoosePath(view), ChosenWay::kSell);
  view.shard_slow = true;
  EXPECT_EQ(ChoosePath(view), ChosenWay::kQueue);
  view.shard_slow = false;
  view.backlog = 1;
  EXPECT_EQ(ChoosePath(view), ChosenWay::kQueue);
  view.has_queue = false;
  EXPECT_EQ(ChoosePath(view), ChosenWay::kSell);
  view.has_queue = true;
  view.accept_queued = false;
  EXPECT_EQ(ChoosePath(view), ChosenWay::kSell);
}

TEST(HasRoomTest, FourForEachUnitAndAtLeastAThousand) {
  EXPECT_TRUE(HasRoom(999, 0));
  EXPECT_FALSE(HasRoom(1000, 0));
  EXPECT_FALSE(HasRoom(1000, 250));
  EXPECT_TRUE(HasRoom(1000, 251));
  EXPECT_FALSE(HasRoom(1004, 251));
  EXPECT_TRUE(HasRoom(4'000'000'000, std::numeric_limits<int64_t>::max()));
}

}  // namespace
}  // namespace tranche::server
