// tranche-load as a process.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include "absl/synchronization/notification.h"
#include "tests/integration/fake_front_node.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/server_process.h"

namespace tranche {
namespace {

// The outcome of its request stays unknown for ever, so it would be asked for again and again.
TEST(TrancheLoadTest, TheFirstSignalEndsARunThatResolvesUnknownOutcomes) {
  FakeFrontNode node({}, ErrorDetails(grpc::StatusCode::INTERNAL, "INTERNAL"));
  absl::Notification resolving;
  node.on_create = [&](const tranche::v1::CreateReservationRequest& request) {
    if (request.may_exist() && !resolving.HasBeenNotified()) resolving.Notify();
  };
  const testing::ScratchDir scratch("load");
  const std::filesystem::path unknown = scratch.path() / "unknown";
  const auto load = testing::ServerProcess::Start(
      "load", "tranche-load",
      {"--endpoints", node.address(), "--sku", "tv", "--requests", "1", "--no-progress", "--unknown", unknown.string()},
      scratch.path());
  ASSERT_TRUE(load.ok()) << load.status();
  ASSERT_TRUE(resolving.WaitForNotificationWithTimeout(absl::Seconds(30))) << (*load)->LogTail();

  ASSERT_TRUE((*load)->process().Signal(SIGTERM).ok());
  const auto status = (*load)->process().Wait(absl::Seconds(3));
  ASSERT_TRUE(status.ok()) << "still running";
  EXPECT_EQ(*status, 0) << (*load)->LogTail();
  std::ostringstream lines;
  lines << std::ifstream(unknown).rdbuf();
  EXPECT_THAT(lines.str(), ::testing::EndsWith(" tv\n")) << "what was given up must be named";
}

}  // namespace
}  // namespace tranche
