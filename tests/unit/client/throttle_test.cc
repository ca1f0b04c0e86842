// The throttle by itself: what it refuses, and that it lets go.
#include "client/internal/throttle.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "tranche/error.h"

namespace tranche::internal {
namespace {

constexpr absl::Time kThrottleStart = absl::FromUnixSeconds(1'800'000'000);

// Nodes that accept `capacity` tries a second and answer the others with an overload, and a client that wants to send
// `demand` a second. Each try is answered at once.
class OverloadedNodes {
 public:
  OverloadedNodes(const ThrottlePolicy& policy, double demand)
      : throttle_(policy, [this] { return std::uniform_real_distribution<double>(0, 1)(random_); }), demand_(demand) {}

  void set_capacity(double capacity) { capacity_ = capacity; }

  struct Seen {
    double sent_per_second;
    double accepted_per_second;
    int64_t refused;
  };

  Seen Run(absl::Duration duration) {
    constexpr absl::Duration kStep = absl::Milliseconds(10);
    const double step = absl::ToDoubleSeconds(kStep);
    int64_t sent = 0;
    int64_t accepted = 0;
    int64_t refused = 0;
    for (const absl::Time end = now_ + duration; now_ < end; now_ += kStep) {
      room_ = std::min(room_ + capacity_ * step, std::max(1.0, capacity_ / 10));
      for (wanted_ += demand_ * step; wanted_ >= 1; --wanted_) {
        if (!throttle_.Admit(now_)) {
          ++refused;
          continue;
        }
        ++sent;
        const bool accepts = room_ >= 1;
        if (accepts) --room_;
        accepted += accepts ? 1 : 0;
        throttle_.OnAnswers(accepts ? LoadSign::kAccepted : LoadSign::kOverload, 1, now_);
      }
    }
    const double seconds = absl::ToDoubleSeconds(duration);
    return {static_cast<double>(sent) / seconds, static_cast<double>(accepted) / seconds, refused};
  }

 private:
  std::mt19937_64 random_{4711};
  Throttle throttle_;
  const double demand_;
  double capacity_ = 0;
  double room_ = 0;
  double wanted_ = 0;
  absl::Time now_ = kThrottleStart;
};

TEST(ThrottleTest, InASteadyOverloadItSendsKTimesWhatIsAccepted) {
  for (const double ratio : {1.5, 2.0, 3.0}) {
    for (const double capacity : {50.0, 200.0}) {
      SCOPED_TRACE(testing::Message() << "K = " << ratio << ", capacity = " << capacity);
      OverloadedNodes nodes({.enabled = true, .ratio = ratio, .window = absl::Seconds(10)}, /*demand=*/1000);
      nodes.set_capacity(capacity);
      nodes.Run(absl::Seconds(60));
      const OverloadedNodes::Seen seen = nodes.Run(absl::Seconds(60));
      EXPECT_NEAR(seen.accepted_per_second, capacity, 0.1 * capacity) << "what the nodes can do is used";
      // The free tries of each window come on top.
      EXPECT_NEAR(seen.sent_per_second, ratio * seen.accepted_per_second + Throttle::kFreeTries / 10.0,
                  0.1 * ratio * capacity);
    }
  }
}

TEST(ThrottleTest, MoreCallersDoNotMakeItSendMore) {
  for (const double demand : {1000.0, 10'000.0}) {
    OverloadedNodes nodes({}, demand);
    nodes.set_capacity(100);
    nodes.Run(absl::Seconds(60));
    EXPECT_NEAR(nodes.Run(absl::Seconds(60)).sent_per_second, 202, 25) << demand;
  }
}

TEST(ThrottleTest, AWindowAfterTheOverloadNothingIsRefused) {
  for (const double capacity : {0.0, 20.0, 200.0}) {
    SCOPED_TRACE(capacity);
    OverloadedNodes nodes({}, /*demand=*/1000);
    nodes.set_capacity(capacity);
    EXPECT_GT(nodes.Run(absl::Seconds(60)).refused, 1000);
    nodes.set_capacity(1e6);
    nodes.Run(absl::Seconds(10));
    const OverloadedNodes::Seen after = nodes.Run(absl::Seconds(30));
    EXPECT_EQ(after.refused, 0);
    EXPECT_NEAR(after.accepted_per_second, 1000, 1);
  }
}

TEST(ThrottleTest, ItSendsMoreAlreadyWithinTheWindow) {
  OverloadedNodes nodes({}, /*demand=*/1000);
  nodes.set_capacity(100);
  nodes.Run(absl::Seconds(60));
  nodes.set_capacity(1e6);
  nodes.Run(absl::Seconds(3));
  EXPECT_GT(nodes.Run(absl::Seconds(3)).sent_per_second, 1.3 * 202);
}

TEST(ThrottleTest, AnOutageLeavesAFewTriesToNoticeItsEnd) {
  OverloadedNodes nodes({}, /*demand=*/1000);
  nodes.Run(absl::Seconds(60));
  const double sent = nodes.Run(absl::Seconds(60)).sent_per_second * 10;
  EXPECT_GE(sent, Throttle::kFreeTries / 2);
  EXPECT_LE(sent, Throttle::kFreeTries * 2);
}

TEST(ThrottleTest, NothingIsRefusedWhileEverythingIsAccepted) {
  Throttle throttle({}, [] { return 0.0; });
  // Under way at once, and none is answered yet.
  for (int i = 0; i < 10'000; ++i) ASSERT_TRUE(throttle.Admit(kThrottleStart));
  for (int second = 0; second < 60; ++second) {
    const absl::Time now = kThrottleStart + absl::Seconds(second);
    throttle.OnAnswers(LoadSign::kAccepted, 1000, now);
    ASSERT_TRUE(throttle.Admit(now));
  }
}

TEST(ThrottleTest, AFewFailuresAreNotHeldAgainstTheNodes) {
  Throttle throttle({}, [] { return 0.0; });
  for (int64_t i = 0; i < Throttle::kFreeTries; ++i) {
    throttle.OnAnswers(LoadSign::kOverload, 1, kThrottleStart);
    ASSERT_TRUE(throttle.Admit(kThrottleStart)) << i;
  }
  throttle.OnAnswers(LoadSign::kOverload, 1, kThrottleStart);
  EXPECT_FALSE(throttle.Admit(kThrottleStart));
}

TEST(ThrottleTest, WithTwoHalfOfTheTriesMayFail) {
  Throttle throttle({}, [] { return 0.0; });
  throttle.OnAnswers(LoadSign::kAccepted, 1000, kThrottleStart);
  throttle.OnAnswers(LoadSign::kOverload, 1000 + Throttle::kFreeTries, kThrottleStart);
  EXPECT_TRUE(throttle.Admit(kThrottleStart));
  throttle.OnAnswers(LoadSign::kOverload, 1, kThrottleStart);
  EXPECT_FALSE(throttle.Admit(kThrottleStart));
}

TEST(ThrottleTest, WhatSaysNothingAboutLoadCountsForNothing) {
  Throttle throttle({}, [] { return 0.0; });
  throttle.OnAnswers(LoadSign::kNone, 1000, kThrottleStart);
  EXPECT_TRUE(throttle.Admit(kThrottleStart));
}

TEST(ThrottleTest, RefusesWithTheProbabilityOfTheFormula) {
  double random = 0;
  Throttle throttle({}, [&random] { return random; });
  throttle.OnAnswers(LoadSign::kAccepted, 10, kThrottleStart);
  throttle.OnAnswers(LoadSign::kOverload, 90, kThrottleStart);
  // 100 requests, 10 accepted, 20 free.
  EXPECT_DOUBLE_EQ(throttle.RefusalProbability(kThrottleStart), 60.0 / 101);
  random = 60.0 / 101;
  EXPECT_TRUE(throttle.Admit(kThrottleStart));
  EXPECT_DOUBLE_EQ(throttle.RefusalProbability(kThrottleStart), 60.0 / 101) << "a try counts when it is answered";
  random = 0.59;
  EXPECT_FALSE(throttle.Admit(kThrottleStart));
  EXPECT_DOUBLE_EQ(throttle.RefusalProbability(kThrottleStart), 61.0 / 102) << "a refused one counts at once";
}

TEST(ThrottleTest, TheRefusalSaysWhatWasSentAndWhenToComeBack) {
  const Throttle throttle({.enabled = true, .ratio = 2, .window = absl::Seconds(20)}, {});
  const absl::Status first = throttle.Refusal();
  EXPECT_TRUE(absl::IsUnavailable(first)) << "as from a node";
  EXPECT_EQ(ReasonOf(first), Reason::kOverloaded);
  EXPECT_EQ(ErrorMetadata(first, "throttled"), "true");
  EXPECT_EQ(RetryDelayOf(first), absl::Seconds(2));
  EXPECT_EQ(first.message().find("Not sent: "), 0u) << first;
  const absl::Status again = throttle.Refusal(absl::UnavailableError("the queue is full"));
  EXPECT_EQ(again.message().find("Not sent again: "), 0u) << again;
  EXPECT_NE(again.message().find("the queue is full"), absl::string_view::npos) << again;
}

TEST(ThrottleTest, NoneIsMadeIfThePolicySwitchesItOff) {
  EXPECT_EQ(MakeThrottle({.enabled = false, .ratio = 2, .window = absl::Seconds(10)}, {}), nullptr);
  EXPECT_NE(MakeThrottle({}, {}), nullptr);
}

TEST(SlidingCountTest, ForgetsWhatIsOlderThanItsBuckets) {
  SlidingCount count;
  count.Add(100, 5);
  count.Add(103, 2);
  EXPECT_EQ(count.Sum(103), 7);
  EXPECT_EQ(count.Sum(100 + SlidingCount::kBuckets - 1), 7);
  EXPECT_EQ(count.Sum(100 + SlidingCount::kBuckets), 2);
  EXPECT_EQ(count.Sum(103 + SlidingCount::kBuckets), 0);
  count.Add(100 + SlidingCount::kBuckets, 1);
  EXPECT_EQ(count.Sum(100 + SlidingCount::kBuckets), 3) << "the word of bucket 100 is used again";
}

TEST(SlidingCountTest, AClockThatGoesBackBeginsAnew) {
  SlidingCount count;
  count.Add(1000, 5);
  EXPECT_EQ(count.Sum(500), 0) << "the future does not count";
  count.Add(500, 1);
  EXPECT_EQ(count.Sum(500), 1);
}

TEST(SlidingCountTest, ThreadsLoseNothing) {
  constexpr int kThreads = 4;
  constexpr int64_t kEach = 20'000;
  SlidingCount count;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&count] {
      for (int64_t n = 0; n < kEach; ++n) count.Add(n * SlidingCount::kBuckets / kEach, 1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count.Sum(SlidingCount::kBuckets - 1), kThreads * kEach);
}

}  // namespace
}  // namespace tranche::internal
