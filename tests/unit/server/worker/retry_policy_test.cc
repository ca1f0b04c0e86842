#include "server/worker/retry_policy.h"

#include <gtest/gtest.h>

namespace tranche::server {
namespace {

constexpr BackoffBounds kBounds = {absl::Seconds(1), absl::Minutes(5)};

TEST(BackoffTest, DoublesUpToTheMost) {
  EXPECT_EQ(Backoff(kBounds, 1, 0.5), absl::Milliseconds(500));
  EXPECT_EQ(Backoff(kBounds, 2, 0.5), absl::Seconds(1));
  EXPECT_EQ(Backoff(kBounds, 9, 0.5), absl::Seconds(128));
  EXPECT_EQ(Backoff(kBounds, 10, 0.5), absl::Seconds(150));
  EXPECT_EQ(Backoff(kBounds, 1000000, 0.5), absl::Seconds(150));
}

TEST(BackoffTest, FullJitterReachesFromNothingToTheWhole) {
  EXPECT_EQ(Backoff(kBounds, 5, 0), absl::ZeroDuration());
  EXPECT_LT(Backoff(kBounds, 5, 0.999), absl::Seconds(16));
  EXPECT_GT(Backoff(kBounds, 5, 0.999), absl::Milliseconds(15900));
  EXPECT_EQ(Backoff(kBounds, 0, 0.5), absl::Milliseconds(500)) << "as the first";
}

TEST(ShouldGiveUpTest, OnlyWithBothManyAttemptsAndAge) {
  const GiveUpBounds bounds{10, absl::Hours(24)};
  EXPECT_FALSE(ShouldGiveUp(bounds, 1000, absl::Hours(23)));
  EXPECT_FALSE(ShouldGiveUp(bounds, 9, absl::Hours(1000)));
  EXPECT_TRUE(ShouldGiveUp(bounds, 10, absl::Hours(24)));
}

TEST(RealRandomTest, IsWithinItsBounds) {
  const RandomSource random = RealRandom();
  for (int i = 0; i < 1000; ++i) {
    const double number = random();
    EXPECT_GE(number, 0);
    EXPECT_LT(number, 1);
  }
}

}  // namespace
}  // namespace tranche::server
