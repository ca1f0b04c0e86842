#include "server/worker/sink_health.h"

#include <gtest/gtest.h>

namespace tranche::server {
namespace {

using Change = SinkHealth::Change;
using Which = SinkHealth::Which;

class SinkHealthTest : public ::testing::Test {
 protected:
  SinkHealth::Permit Ask() { return health_.Ask(now_); }
  Change Report(const SinkHealth::Permit& permit, const SinkHealth::Outcomes& outcomes) {
    return health_.Report(permit, outcomes, now_, /*random=*/0.5);
  }
  // A batch of which everything arrives.
  void Succeed() {
    const auto permit = Ask();
    Report(permit, {.answered = permit.messages});
  }

  // Two in a row fail that never failed before.
  void GoDown() {
    EXPECT_EQ(Report(Ask(), {.failed = 1}), Change::kNone);
    EXPECT_EQ(Report(Ask(), {.failed = 1}), Change::kDown);
  }

  absl::Time now_ = absl::UnixEpoch();
  SinkHealth health_{SinkHealthOptions{.max_batch = 100}};
};

TEST_F(SinkHealthTest, BatchesGrowWhileAllArrives) {
  EXPECT_EQ(Ask().messages, 1);
  for (const int next : {4, 16, 64, 100, 100}) {
    Succeed();
    EXPECT_EQ(Ask().messages, next);
  }
}

TEST_F(SinkHealthTest, ABatchThatFailsAsAWholeIsNoProofAndAnotherMessageIsTriedAtOnce) {
  for (int i = 0; i < 5; ++i) Succeed();
  EXPECT_EQ(Report(Ask(), {.failed = 100}), Change::kNone);
  const auto probe = Ask();
  EXPECT_EQ(probe.messages, 1);
  EXPECT_EQ(probe.which, Which::kFreshElseOne);
  EXPECT_EQ(Report(probe, {.failed = 1}), Change::kDown);
  EXPECT_EQ(Ask().messages, 0);
  EXPECT_EQ(Ask().wait, absl::Milliseconds(250));
}

TEST_F(SinkHealthTest, ABadMessageAmongGoodOnesCostsNothing) {
  for (int i = 0; i < 5; ++i) Succeed();
  EXPECT_EQ(Report(Ask(), {.answered = 95, .failed = 5}), Change::kNone);
  EXPECT_EQ(Ask().messages, 100);
  EXPECT_EQ(Ask().which, Which::kAny);
}

// However often they fail.
TEST_F(SinkHealthTest, MessagesThatFailAgainPauseOnlyTheirKind) {
  for (int i = 0; i < 5; ++i) Succeed();
  Report(Ask(), {.failed_again = 40});
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(Ask().which, Which::kFreshElseOne);
    EXPECT_EQ(Report(Ask(), {.failed_again = 1}), Change::kNone);
    const auto permit = Ask();
    EXPECT_EQ(permit.which, Which::kFresh);
    EXPECT_EQ(permit.messages, 100);
    EXPECT_GT(health_.PauseLeft(now_), absl::ZeroDuration());
    now_ += absl::Seconds(30);
  }
  Succeed();
  EXPECT_EQ(Ask().which, Which::kAny);
  EXPECT_EQ(health_.PauseLeft(now_), absl::ZeroDuration());
}

// The next fresh message is tried as soon as it comes: what failed meanwhile may all be bad.
TEST_F(SinkHealthTest, OldMessagesThatFailDoNotMakeAFreshOneWait) {
  Report(Ask(), {.failed = 1});
  EXPECT_EQ(Report(Ask(), {.failed_again = 1}), Change::kDown) << "there is nothing else to try";
  for (int i = 0; i < 10; ++i) {
    const auto permit = Ask();
    EXPECT_EQ(permit.messages, 1);
    EXPECT_EQ(permit.which, Which::kFresh);
    Report(permit, {});
    now_ += absl::Seconds(30);
    Report(Ask(), {.failed_again = 1});
  }
  EXPECT_EQ(Report(Ask(), {.answered = 1}), Change::kUp);
}

TEST_F(SinkHealthTest, AfterThePauseOneMessageProbesAndTheOthersWait) {
  GoDown();
  now_ += absl::Milliseconds(250);
  const auto probe = Ask();
  EXPECT_TRUE(probe.probe);
  EXPECT_EQ(probe.messages, 1);
  EXPECT_EQ(Ask().messages, 0);
  EXPECT_GT(Ask().wait, absl::ZeroDuration());
  EXPECT_EQ(Report(probe, {.failed = 1}), Change::kNone) << "it was down already";
  EXPECT_EQ(Ask().wait, absl::Milliseconds(500)) << "longer each time";
  now_ += absl::Milliseconds(500);
  EXPECT_EQ(Report(Ask(), {.answered = 1}), Change::kUp);
  EXPECT_EQ(Ask().messages, 4);
}

TEST_F(SinkHealthTest, AProbeThatFoundNothingToSendLeavesTheNextOneToTry) {
  GoDown();
  now_ += absl::Seconds(1);
  Report(Ask(), {});
  EXPECT_TRUE(Ask().probe);
}

TEST_F(SinkHealthTest, WhatWasOnItsWayWhenTheSinkWentDownCountsOnce) {
  const auto first = Ask();
  const auto second = Ask();
  Report(first, {.failed = 1});
  EXPECT_EQ(Report(second, {.failed = 1}), Change::kNone);
  EXPECT_TRUE(Ask().probe) << "still no more than a suspicion";
}

TEST_F(SinkHealthTest, ThePauseHasItsBounds) {
  GoDown();
  for (int i = 0; i < 30; ++i) {
    now_ += absl::Minutes(1);
    Report(Ask(), {.failed = 1});
    EXPECT_GT(Ask().wait, absl::ZeroDuration());
    EXPECT_LE(Ask().wait, absl::Seconds(30));
  }
  now_ += absl::Minutes(1);
  health_.Report(Ask(), {.failed = 1}, now_, /*random=*/0);
  EXPECT_EQ(Ask().wait, absl::Milliseconds(100)) << "jitter does not make a storm";
}

TEST_F(SinkHealthTest, AClockThatIsSetBackDoesNotProlongThePause) {
  GoDown();
  now_ -= absl::Hours(1);
  EXPECT_TRUE(Ask().probe);
}

TEST_F(SinkHealthTest, ARefusalIsAnAnswer) {
  const auto permit = Ask();
  EXPECT_EQ(Report(permit, {.answered = 1}), Change::kNone);
  EXPECT_GT(Ask().messages, 0);
}

TEST_F(SinkHealthTest, ASinkThatStrugglesGetsLess) {
  for (int i = 0; i < 5; ++i) Succeed();
  Report(Ask(), {.answered = 60, .not_tried = 40});
  EXPECT_EQ(Ask().messages, 50);
  Report(Ask(), {.answered = 10, .failed = 40});
  EXPECT_EQ(Ask().messages, 25);
}

}  // namespace
}  // namespace tranche::server
