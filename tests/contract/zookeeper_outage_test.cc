// What a session does while its ZooKeeper is dead, frozen or unreachable: on a private server, which the tests break.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "quota/zookeeper/zookeeper_coordination.h"
#include "tests/support/free_port.h"
#include "tests/support/mini_zookeeper.h"
#include "tests/support/recording_observer.h"

namespace tranche::quota {
namespace {

using ::testing::ElementsAre;
using testing::MiniZookeeper;
using testing::RecordingObserver;

class ZookeeperOutageTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = std::make_unique<MiniZookeeper>();
    const absl::Status started = server_->Start();
    ASSERT_TRUE(started.ok()) << started;
  }
  static void TearDownTestSuite() { server_.reset(); }

  static ZookeeperOptions Options() {
    return {.servers = server_->connect_string(), .root = "/outage", .session_timeout = absl::Seconds(10)};
  }

  std::unique_ptr<Coordination> Connect(const ZookeeperOptions& options) {
    return ZookeeperConnector(options).Connect(&observer_).value();
  }

  static std::unique_ptr<MiniZookeeper> server_;
  RecordingObserver observer_;
};

std::unique_ptr<MiniZookeeper> ZookeeperOutageTest::server_;

TEST_F(ZookeeperOutageTest, SessionSurvivesAKilledAndRestartedServer) {
  const auto session = Connect(Options());
  const int64_t id = session->SessionId();
  ASSERT_TRUE(session->Create("/nodes/1", "before", CreateMode::kEphemeral).ok());
  ASSERT_TRUE(session->Get("/nodes/1", Watch::kYes).ok());

  ASSERT_TRUE(server_->Kill().ok());
  ASSERT_TRUE(observer_.WaitFor("disconnected"));
  const absl::Time start = absl::Now();
  EXPECT_TRUE(absl::IsUnavailable(session->Get("/nodes/1", Watch::kNo).status()));
  EXPECT_TRUE(absl::IsUnavailable(session->Set("/nodes/1", "lost", kAnyVersion)));
  EXPECT_TRUE(absl::IsUnavailable(session->GetMany({"/nodes", "/skus"}, Watch::kYes)[1].status()));
  EXPECT_LT(absl::Now() - start, absl::Seconds(1)) << "without a connection calls fail at once";

  observer_.Forget();
  ASSERT_TRUE(server_->Start().ok());
  ASSERT_TRUE(observer_.WaitFor("connected"));
  EXPECT_EQ(session->SessionId(), id);
  const auto node = session->Get("/nodes/1", Watch::kNo);
  ASSERT_TRUE(node.ok()) << node.status();
  EXPECT_EQ(node->data, "before");
  EXPECT_EQ(node->ephemeral_owner, id);
  // The watch from before the outage is still set.
  ASSERT_TRUE(session->Set("/nodes/1", "after", kAnyVersion).ok());
  EXPECT_TRUE(observer_.WaitFor("/nodes/1"));
  EXPECT_EQ(observer_.Count("expired"), 0);
}

TEST_F(ZookeeperOutageTest, CallOnAFrozenServerEndsInTimeAndItsLateReplyIsHarmless) {
  ZookeeperOptions options = Options();
  options.call_timeout = absl::Milliseconds(200);
  const auto session = Connect(options);
  ASSERT_TRUE(server_->Freeze().ok());
  const absl::Time start = absl::Now();
  EXPECT_TRUE(absl::IsUnavailable(session->Create("/skus/late", "", CreateMode::kPersistent)));
  EXPECT_TRUE(absl::IsUnavailable(session->List("/skus", Watch::kYes).status()));
  const std::vector<std::string> paths(3000, "/skus");
  for (const auto& node : session->GetMany(paths, Watch::kYes)) EXPECT_TRUE(absl::IsUnavailable(node.status()));
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(600)) << "three calls waited for their reply";
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));

  ASSERT_TRUE(server_->Thaw().ok());
  // The server now executes what its callers gave up: the outcome of a write that timed out is unknown.
  absl::StatusOr<std::vector<std::string>> list = absl::UnavailableError("not yet");
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (!list.ok() && absl::Now() < deadline) list = session->List("/skus", Watch::kNo);
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_THAT(*list, ElementsAre("late"));
}

TEST_F(ZookeeperOutageTest, SessionClosesWhileRepliesAreOutstanding) {
  ZookeeperOptions options = Options();
  options.call_timeout = absl::Milliseconds(50);
  auto session = Connect(options);
  ASSERT_TRUE(server_->Freeze().ok());
  EXPECT_TRUE(absl::IsUnavailable(session->Get("/nodes", Watch::kYes).status()));
  const absl::Time start = absl::Now();
  session.reset();
  EXPECT_LT(absl::Now() - start, absl::Seconds(20));
  ASSERT_TRUE(server_->Thaw().ok());
}

TEST_F(ZookeeperOutageTest, ConnectWithoutAServerFailsInTime) {
  ZookeeperOptions options = Options();
  options.servers = "127.0.0.1:" + std::to_string(testing::PickFreePort());
  options.connect_timeout = absl::Milliseconds(300);
  const absl::Time start = absl::Now();
  const auto session = ZookeeperConnector(options).Connect(&observer_);
  EXPECT_TRUE(absl::IsUnavailable(session.status())) << session.status();
  EXPECT_THAT(std::string(session.status().message()), ::testing::HasSubstr(options.servers));
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
  EXPECT_THAT(observer_.Events(), ::testing::IsEmpty());
}

TEST_F(ZookeeperOutageTest, ConnectRefusesWhatCannotBeMeant) {
  ZookeeperOptions options = Options();
  options.servers = "";
  EXPECT_TRUE(absl::IsInvalidArgument(ZookeeperConnector(options).Connect(&observer_).status()));
  options = Options();
  options.root = "tranche/";
  EXPECT_TRUE(absl::IsInvalidArgument(ZookeeperConnector(options).Connect(&observer_).status()));
  options = Options();
  options.servers = "127.0.0.1:not-a-port";
  options.connect_timeout = absl::Milliseconds(300);
  EXPECT_FALSE(ZookeeperConnector(options).Connect(&observer_).ok());
}

}  // namespace
}  // namespace tranche::quota
