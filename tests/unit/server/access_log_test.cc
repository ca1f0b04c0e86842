#include "server/rpc/access_log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "server/process/file_descriptor.h"
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

TEST(AccessLogTest, ALogThatNobodyReadsGetsNoLines) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC), 0);
  const FileDescriptor reader(ends[0]);
  const FileDescriptor writer(ends[1]);
  std::array<char, 4096> page{};
  while (write(writer.number(), page.data(), page.size()) > 0) {
  }
  storage::FakeClock clock;
  AccessLog log(AccessLogMode::kAll, 1, &clock, writer.number());
  const testing::LoggedLines lines;
  EXPECT_EQ(Taken(log, StatusCode::OK, 10), 0);
  clock.AdvanceBy(absl::Seconds(1));
  EXPECT_EQ(Taken(log, StatusCode::INTERNAL, 5), 0);
  EXPECT_TRUE(lines.lines().empty()) << "what is left out cannot be told either";
  while (read(reader.number(), page.data(), page.size()) > 0) {
  }
  EXPECT_EQ(Taken(log, StatusCode::OK, 3), 3);
  EXPECT_THAT(lines.lines(), ::testing::ElementsAre("event access_log.dropped lines=15"));
}

}  // namespace
}  // namespace tranche::server
