#include "server/rpc/caller_calls.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/errors.h"

namespace tranche::server {
namespace {

class CallerCallsTest : public ::testing::Test {
 protected:
  static constexpr bool kOther = false;
  static constexpr bool kSettles = true;

  // Whether there was room; if so, the call is open until End.
  bool Begin(const std::string& caller, bool settles = kOther) {
    const auto place = calls_.Take(caller, settles);
    if (place.ok()) places_.push_back(*place);
    return place.ok();
  }
  // The oldest one.
  void End() {
    calls_.GiveBack(places_.front());
    places_.erase(places_.begin());
  }
  int BeginUntilRefused(const std::string& caller, bool settles = kOther) {
    int begun = 0;
    while (Begin(caller, settles)) ++begun;
    return begun;
  }

  CallerCalls calls_{20};
  std::vector<CallerCalls::Place> places_;
};

TEST_F(CallerCallsTest, ACallerAtItsLimitLeavesTheOthersAlone) {
  EXPECT_EQ(BeginUntilRefused("web"), 20);
  EXPECT_EQ(BeginUntilRefused("app"), 20);
  EXPECT_EQ(BeginUntilRefused("ipv4:10.0.0.7"), 20);
  EXPECT_EQ(calls_.callers(), 3u);
  EXPECT_EQ(calls_.refused(), 3);
}

TEST_F(CallerCallsTest, AnAnswerMakesRoomForOneMore) {
  EXPECT_EQ(BeginUntilRefused("web"), 20);
  End();
  EXPECT_EQ(BeginUntilRefused("web"), 1);
  while (!places_.empty()) End();
  EXPECT_EQ(calls_.callers(), 0u) << "who has no call takes no memory";
  EXPECT_EQ(BeginUntilRefused("web"), 20);
}

TEST_F(CallerCallsTest, WhatSettlesReservationsIsRefusedLast) {
  EXPECT_EQ(BeginUntilRefused("web"), 20);
  EXPECT_EQ(BeginUntilRefused("web", kSettles), 3) << "an eighth, rounded up";
  End();
  EXPECT_FALSE(Begin("web")) << "what is left is for payments";
  EXPECT_TRUE(Begin("web", kSettles));
}

TEST_F(CallerCallsTest, AllCallsOfACallerCountTogether) {
  EXPECT_EQ(BeginUntilRefused("web", kSettles), 23);
  EXPECT_FALSE(Begin("web"));
  for (int i = 0; i < 4; ++i) End();
  EXPECT_EQ(BeginUntilRefused("web"), 1);
}

TEST_F(CallerCallsTest, TheSmallestLimitLeavesAPaymentRoom) {
  CallerCalls calls(1);
  EXPECT_TRUE(calls.Take("web", kOther).ok());
  EXPECT_FALSE(calls.Take("web", kOther).ok());
  EXPECT_TRUE(calls.Take("web", kSettles).ok());
  EXPECT_FALSE(calls.Take("web", kSettles).ok());
}

TEST_F(CallerCallsTest, TheRefusalSaysWhichLimitItIsAndWhenToTryAgain) {
  BeginUntilRefused("web");
  const absl::Status refused = calls_.Take("web", kOther).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOfError(refused), v1::ERROR_REASON_OVERLOADED);
  EXPECT_EQ(MetadataOfError(refused, "limit"), "caller");
  EXPECT_GT(RetryDelay(refused), absl::ZeroDuration());
}

TEST_F(CallerCallsTest, ManyThreadsNeverHaveMoreThanTheLimit) {
  constexpr int kThreads = 8;
  constexpr int kTries = 20000;
  CallerCalls calls(3);
  std::atomic<int> open{0};
  std::atomic<int> most{0};
  std::atomic<int64_t> refused{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      const std::string other = absl::StrCat("other-", i);
      for (int j = 0; j < kTries; ++j) {
        const auto own = calls.Take(other, kOther);
        EXPECT_TRUE(own.ok()) << "nobody else has its name";
        const auto place = calls.Take("web", kOther);
        if (place.ok()) {
          const int now = ++open;
          int seen = most.load();
          while (now > seen && !most.compare_exchange_weak(seen, now)) {
          }
          std::this_thread::yield();
          --open;
          calls.GiveBack(*place);
        } else {
          ++refused;
        }
        if (own.ok()) calls.GiveBack(*own);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(most.load(), 3);
  EXPECT_EQ(calls.refused(), refused.load());
  EXPECT_EQ(calls.callers(), 0u);
}

}  // namespace
}  // namespace tranche::server
