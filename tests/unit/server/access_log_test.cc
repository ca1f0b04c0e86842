#include "server/rpc/access_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/logged_lines.h"

namespace tranche::server {
namespace {

using grpc::StatusCode;

int Taken(AccessLog& log, StatusCode code, int calls) {
  int taken = 0;
  for (int i = 0; i < calls; ++i) taken += log.Takes(code) ? 1 : 0;
  return taken;
}

TEST(AccessLogTest, ErrorsAreWhatIsNotOk) {
  storage::FakeClock clock;
  AccessLog log(AccessLogMode::kErrors, 1, &clock);
  EXPECT_EQ(Taken(log, StatusCode::OK, 10), 0);
  EXPECT_EQ(Taken(log, StatusCode::RESOURCE_EXHAUSTED, 10), 10);
}

TEST(AccessLogTest, OneOfNIsTakenButEveryFault) {
  storage::FakeClock clock;
  AccessLog log(AccessLogMode::kAll, 10, &clock);
  EXPECT_EQ(Taken(log, StatusCode::OK, 500), 50);
  EXPECT_EQ(Taken(log, StatusCode::INTERNAL, 20), 20);
  EXPECT_EQ(Taken(log, StatusCode::UNKNOWN, 20), 20);
  EXPECT_EQ(Taken(log, StatusCode::UNAVAILABLE, 500), 50);
}

TEST(AccessLogTest, AFloodIsBoundedAndWhatIsLeftOutIsTold) {
  storage::FakeClock clock;
  AccessLog log(AccessLogMode::kAll, 1, &clock);
  const testing::LoggedLines lines;
  EXPECT_EQ(Taken(log, StatusCode::OK, 1'500), AccessLog::kMostLinesPerS);
  EXPECT_EQ(Taken(log, StatusCode::INTERNAL, 5), 0) << "the bound holds for all";
  EXPECT_TRUE(lines.lines().empty());
  clock.AdvanceBy(absl::Seconds(1));
  EXPECT_EQ(Taken(log, StatusCode::OK, 2), 2);
  EXPECT_THAT(lines.lines(), ::testing::ElementsAre("event access_log.dropped lines=505"));
}

}  // namespace
}  // namespace tranche::server
