#include "server/process/clock_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "server/metrics/metric_set.h"
#include "server/node/clock_offsets.h"

namespace tranche::server {
namespace {

using ::testing::HasSubstr;

const absl::Time kBefore = absl::FromUnixSeconds(1'700'000'000);
constexpr absl::Duration kRoundTrip = absl::Milliseconds(300);

// What is said when the database's clock is so far from the moment of the question.
std::string Said(absl::Duration database, absl::Duration round_trip = kRoundTrip) {
  return ClockWarning("home", kBefore, kBefore + database, kBefore + round_trip);
}

TEST(ClockCheckTest, ClocksThatMayAgreeAreNotSpokenOf) {
  for (const int ms : {-1000, -999, 0, 150, 300, 1300}) EXPECT_EQ(Said(absl::Milliseconds(ms)), "") << ms;
}

TEST(ClockCheckTest, ADifferenceIsNamedWithItsDirection) {
  EXPECT_THAT(Said(absl::Milliseconds(1301)), HasSubstr("is 1.001s behind the clock of the database of shard home"));
  EXPECT_THAT(Said(absl::Milliseconds(-2500)), HasSubstr("is 2.5s ahead of the clock"));
  EXPECT_THAT(Said(absl::Hours(1) + kRoundTrip), HasSubstr("is 1h behind"));
  EXPECT_THAT(Said(-absl::Hours(1)), HasSubstr("(NTP)"));
}

// When the database read its clock is unknown then, and so is the difference.
TEST(ClockCheckTest, ASlowAnswerIsNoDifference) {
  EXPECT_EQ(Said(absl::ZeroDuration(), absl::Seconds(10)), "");
  EXPECT_EQ(Said(absl::Seconds(10), absl::Seconds(10)), "");
  EXPECT_NE(Said(absl::Seconds(12), absl::Seconds(10)), "");
}

TEST(ClockCheckTest, NothingIsSaidIfTheOwnClockWasSetBackMeanwhile) {
  EXPECT_EQ(Said(absl::Milliseconds(150), -absl::Hours(1)), "");
}

TEST(ClockCheckTest, TellsHowFarItIsAheadAtLeast) {
  const auto ahead = [](absl::Duration database) {
    return ClockAhead(kBefore, kBefore + database, kBefore + kRoundTrip);
  };
  EXPECT_EQ(ahead(-absl::Seconds(2)), absl::Seconds(2));
  EXPECT_EQ(ahead(absl::Seconds(2) + kRoundTrip), -absl::Seconds(2));
  EXPECT_EQ(ahead(kRoundTrip / 2), absl::ZeroDuration());
  EXPECT_EQ(ClockAhead(kBefore, kBefore, kBefore - absl::Seconds(1)), std::nullopt);
}

TEST(ClockCheckTest, ShowsWhatWasComparedLast) {
  ClockOffsets offsets;
  MetricSet metrics;
  offsets.Collect(&metrics);
  EXPECT_TRUE(metrics.Take().empty());
  offsets.Note("home", absl::Seconds(7));
  offsets.Note("home", -absl::Milliseconds(1500));
  offsets.Note("hot", absl::ZeroDuration());
  offsets.Collect(&metrics);
  const auto families = metrics.Take();
  ASSERT_EQ(families.size(), 1u);
  EXPECT_EQ(families[0].name, "tranche_clock_offset_seconds");
  ASSERT_EQ(families[0].metric.size(), 2u);
  EXPECT_EQ(families[0].metric[0].label[0].value, "home");
  EXPECT_EQ(families[0].metric[0].gauge.value, -1.5);
}

}  // namespace
}  // namespace tranche::server
