#include "server/outbound/circuit_breaker.h"

#include <gtest/gtest.h>

namespace tranche::server {
namespace {

using Permit = CircuitBreaker::Permit;

class CircuitBreakerTest : public ::testing::Test {
 protected:
  void Fail(int times) {
    for (int i = 0; i < times; ++i) breaker_.Note(breaker_.Ask(), false);
  }
  // One probe that fails, when it may.
  void FailProbe() {
    ASSERT_EQ(breaker_.Ask(), Permit::kProbe);
    breaker_.Note(Permit::kProbe, false);
  }

  storage::FakeClock clock_;
  CircuitBreaker breaker_{&clock_};
};

TEST_F(CircuitBreakerTest, OpensAfterFailuresInARowOnly) {
  Fail(CircuitBreaker::kFailuresToOpen - 1);
  breaker_.Note(breaker_.Ask(), true);
  Fail(CircuitBreaker::kFailuresToOpen - 1);
  EXPECT_TRUE(breaker_.closed());
  EXPECT_EQ(breaker_.Ask(), Permit::kCall);
  breaker_.Note(Permit::kCall, false);
  EXPECT_FALSE(breaker_.closed());
  EXPECT_EQ(breaker_.Ask(), Permit::kNo);
}

TEST_F(CircuitBreakerTest, LetsOneProbeThroughAtATimeAndClosesWhenItSucceeds) {
  Fail(CircuitBreaker::kFailuresToOpen);
  clock_.AdvanceBy(CircuitBreaker::kFirstOpen - absl::Nanoseconds(1));
  EXPECT_EQ(breaker_.Ask(), Permit::kNo);
  clock_.AdvanceBy(absl::Nanoseconds(1));
  EXPECT_EQ(breaker_.Ask(), Permit::kProbe);
  EXPECT_EQ(breaker_.Ask(), Permit::kNo);
  EXPECT_FALSE(breaker_.closed());
  breaker_.Note(Permit::kProbe, true);
  EXPECT_TRUE(breaker_.closed());
  EXPECT_EQ(breaker_.Ask(), Permit::kCall);
}

TEST_F(CircuitBreakerTest, StaysOpenTwiceAsLongAfterEachFailedProbe) {
  Fail(CircuitBreaker::kFailuresToOpen);
  clock_.AdvanceBy(absl::Seconds(1));
  for (const int seconds : {2, 4, 8, 16, 30, 30}) {
    FailProbe();
    clock_.AdvanceBy(absl::Seconds(seconds) - absl::Nanoseconds(1));
    EXPECT_EQ(breaker_.Ask(), Permit::kNo) << seconds;
    clock_.AdvanceBy(absl::Nanoseconds(1));
  }
  ASSERT_EQ(breaker_.Ask(), Permit::kProbe);
  breaker_.Note(Permit::kProbe, true);
  // The next time begins anew.
  Fail(CircuitBreaker::kFailuresToOpen);
  clock_.AdvanceBy(CircuitBreaker::kFirstOpen);
  EXPECT_EQ(breaker_.Ask(), Permit::kProbe);
}

TEST_F(CircuitBreakerTest, CallsFromBeforeItOpenedChangeNothing) {
  ASSERT_EQ(breaker_.Ask(), Permit::kCall);
  ASSERT_EQ(breaker_.Ask(), Permit::kCall);
  Fail(CircuitBreaker::kFailuresToOpen);
  breaker_.Note(Permit::kCall, true);
  EXPECT_FALSE(breaker_.closed());
  clock_.AdvanceBy(CircuitBreaker::kFirstOpen);
  ASSERT_EQ(breaker_.Ask(), Permit::kProbe);
  breaker_.Note(Permit::kCall, false);
  EXPECT_EQ(breaker_.Ask(), Permit::kNo) << "the probe is still under way";
}

TEST_F(CircuitBreakerTest, AClockThatIsSetBackDoesNotKeepItOpen) {
  Fail(CircuitBreaker::kFailuresToOpen);
  clock_.AdvanceBy(-absl::Hours(1));
  EXPECT_EQ(breaker_.Ask(), Permit::kProbe);
}

}  // namespace
}  // namespace tranche::server
