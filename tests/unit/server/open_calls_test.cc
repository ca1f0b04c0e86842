#include "server/rpc/open_calls.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace tranche::server {
namespace {

constexpr size_t kConfirm = static_cast<size_t>(CallKind::kConfirm);
constexpr size_t kGet = static_cast<size_t>(CallKind::kGet);
constexpr size_t kList = static_cast<size_t>(CallKind::kList);

class OpenCallsTest : public ::testing::Test {
 protected:
  static constexpr absl::Duration kMax = absl::Seconds(30);

  OpenCall Begin(CallKind kind, absl::Duration time) { return calls_.Begin(kind, clock_.Now() + time); }
  // As in the node: one check per second.
  bool CheckFor(int seconds) {
    bool avoid = false;
    for (int i = 0; i < seconds; ++i) {
      clock_.AdvanceBy(absl::Seconds(1));
      avoid = calls_.Check();
    }
    return avoid;
  }

  storage::FakeClock clock_;
  OpenCalls calls_{&clock_, kMax};
};

TEST_F(OpenCallsTest, ACallIsOverdueASecondAfterItsDeadline) {
  Begin(CallKind::kConfirm, absl::Milliseconds(1500));
  EXPECT_FALSE(CheckFor(2)) << "half a second after it";
  EXPECT_EQ(calls_.Overdue().open[kConfirm], 0);
  EXPECT_TRUE(CheckFor(1)) << "one and a half";
  EXPECT_EQ(calls_.Overdue().open[kConfirm], 1);
  EXPECT_EQ(calls_.Overdue().noticed[kConfirm], 1);
}

TEST_F(OpenCallsTest, WhatIsAnsweredInTimeIsNeverSeen) {
  for (int second = 0; second < 200; ++second) {
    const OpenCall quick = Begin(CallKind::kReservation, absl::Seconds(2));
    const OpenCall slow = Begin(CallKind::kReservation, kMax);
    calls_.End(quick);
    EXPECT_FALSE(CheckFor(1));
    calls_.End(slow);
  }
  for (const int64_t noticed : calls_.Overdue().noticed) EXPECT_EQ(noticed, 0);
}

TEST_F(OpenCallsTest, ItRecoversWithTheAnswer) {
  const OpenCall first = Begin(CallKind::kConfirm, absl::Seconds(1));
  const OpenCall second = Begin(CallKind::kConfirm, absl::Seconds(1));
  EXPECT_TRUE(CheckFor(4));
  EXPECT_EQ(calls_.Overdue().open[kConfirm], 2);
  calls_.End(first);
  EXPECT_TRUE(CheckFor(1));
  calls_.End(second);
  EXPECT_FALSE(CheckFor(1));
  EXPECT_EQ(calls_.Overdue().open[kConfirm], 0);
  EXPECT_EQ(calls_.Overdue().noticed[kConfirm], 2) << "each once, however often it was looked";
}

// The ring of seconds has gone round several times, and others have used the same places.
TEST_F(OpenCallsTest, AForgottenCallStaysCountedForEver) {
  Begin(CallKind::kConfirm, absl::Seconds(1));
  for (int second = 0; second < 500; ++second) {
    const OpenCall other = Begin(CallKind::kConfirm, absl::Seconds(second % 30));
    calls_.End(other);
    CheckFor(1);
  }
  EXPECT_TRUE(calls_.Check());
  EXPECT_EQ(calls_.Overdue().open[kConfirm], 1);
  EXPECT_EQ(calls_.Overdue().noticed[kConfirm], 1);
}

// They wait for a thread: in an overload at all nodes at once.
TEST_F(OpenCallsTest, ReadsAndListsAreCountedAndAreNoReasonToAvoidTheNode) {
  Begin(CallKind::kList, absl::Seconds(1));
  Begin(CallKind::kGet, absl::Seconds(1));
  EXPECT_FALSE(CheckFor(5));
  EXPECT_EQ(calls_.Overdue().open[kList], 1);
  EXPECT_EQ(calls_.Overdue().open[kGet], 1);
  EXPECT_EQ(calls_.Overdue().noticed[kGet], 1);
  Begin(CallKind::kCart, absl::Seconds(1));
  EXPECT_TRUE(CheckFor(5)) << "one that sells is";
}

TEST_F(OpenCallsTest, DeadlinesAreTakenWithinBounds) {
  calls_.Begin(CallKind::kCart, absl::InfiniteFuture());
  calls_.Begin(CallKind::kExtend, std::nullopt);
  EXPECT_FALSE(CheckFor(31));
  EXPECT_TRUE(CheckFor(2));
  OpenCalls others(&clock_, kMax);
  const OpenCall late = others.Begin(CallKind::kConfirm, absl::InfinitePast());
  EXPECT_FALSE(others.Check()) << "it has just come";
  others.End(late);
  clock_.AdvanceBy(absl::Seconds(5));
  EXPECT_FALSE(others.Check());
}

// A machine that was asleep, or whose clock was set.
TEST_F(OpenCallsTest, AClockThatJumpsDoesNoLastingHarm) {
  for (const int jump : {3600, -7200, 59, -31, 100000}) {
    const OpenCall open = Begin(CallKind::kConfirm, absl::Seconds(20));
    clock_.AdvanceBy(absl::Seconds(jump));
    const OpenCall next = Begin(CallKind::kConfirm, absl::Seconds(20));
    calls_.Check();
    calls_.End(open);
    calls_.End(next);
    EXPECT_FALSE(CheckFor(120)) << "after a jump of " << jump;
    EXPECT_EQ(calls_.Overdue().open[kConfirm], 0);
  }
}

TEST(OpenCallsThreadsTest, NoAnswerIsLostBesideTheChecks) {
  OpenCalls calls(storage::Clock::Real(), absl::Seconds(1));
  std::atomic<bool> stop{false};
  std::thread checker([&] {
    while (!stop) calls.Check();
  });
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&] {
      for (int n = 0; n < 100000; ++n) {
        calls.End(calls.Begin(CallKind::kReservation, std::nullopt));
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  stop = true;
  checker.join();
  EXPECT_FALSE(calls.Check());
  for (const int64_t open : calls.Overdue().open) EXPECT_EQ(open, 0);
}

}  // namespace
}  // namespace tranche::server
