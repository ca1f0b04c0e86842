// What the fake can do beyond the contract: the faults for tests and the simulation.
#include "quota/fake/fake_coordination.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "tests/support/recording_observer.h"

namespace tranche::quota {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::RecordingObserver;

class FakeCoordinationTest : public ::testing::Test {
 protected:
  std::unique_ptr<Coordination> Connect(RecordingObserver& observer) {
    return FakeConnector(&zookeeper_).Connect(&observer).value();
  }

  FakeZookeeper zookeeper_{FakeZookeeper::Delivery::kExplicit};
  RecordingObserver observer_;
  RecordingObserver other_observer_;
};

TEST_F(FakeCoordinationTest, DeliversOnlyWhenAskedAndInOrder) {
  const auto session = Connect(observer_);
  ASSERT_TRUE(session->Create("/nodes/1", "", CreateMode::kPersistent).ok());
  ASSERT_TRUE(session->Get("/nodes/1", Watch::kYes).ok());
  ASSERT_TRUE(session->List("/nodes", Watch::kYes).ok());
  ASSERT_TRUE(session->Set("/nodes/1", "x", kAnyVersion).ok());
  ASSERT_TRUE(session->Create("/nodes/2", "", CreateMode::kPersistent).ok());
  EXPECT_THAT(observer_.Events(), IsEmpty());
  EXPECT_EQ(zookeeper_.waiting_events(), 3u);
  EXPECT_EQ(zookeeper_.DeliverEvents(), 3u);
  EXPECT_THAT(observer_.Events(), ElementsAre("connected", "/nodes/1", "/nodes"));
}

TEST_F(FakeCoordinationTest, DisconnectedSessionGetsUnavailableAndLosesWatchEvents) {
  const auto session = Connect(observer_);
  const auto other = Connect(other_observer_);
  ASSERT_TRUE(session->List("/nodes", Watch::kYes).ok());
  zookeeper_.Disconnect(session->SessionId());
  EXPECT_TRUE(absl::IsUnavailable(session->Get("/nodes", Watch::kNo).status()));
  EXPECT_TRUE(absl::IsUnavailable(session->Create("/nodes/1", "", CreateMode::kPersistent)));
  ASSERT_TRUE(other->Create("/nodes/2", "", CreateMode::kPersistent).ok());
  zookeeper_.Reconnect(session->SessionId());
  zookeeper_.DeliverEvents();
  EXPECT_THAT(observer_.Events(), ElementsAre("connected", "disconnected", "connected"));
  EXPECT_THAT(*session->List("/nodes", Watch::kNo), ElementsAre("2"));
}

TEST_F(FakeCoordinationTest, SessionThatExpiresWhileDisconnectedLearnsItAtReconnect) {
  const auto session = Connect(observer_);
  const auto other = Connect(other_observer_);
  ASSERT_TRUE(session->Create("/nodes/1", "", CreateMode::kEphemeral).ok());
  zookeeper_.Disconnect(session->SessionId());
  zookeeper_.ExpireSession(session->SessionId());
  EXPECT_THAT(*other->List("/nodes", Watch::kNo), IsEmpty());
  EXPECT_TRUE(absl::IsUnavailable(session->Get("/nodes", Watch::kNo).status()));
  zookeeper_.Reconnect(session->SessionId());
  EXPECT_TRUE(absl::IsUnauthenticated(session->Get("/nodes", Watch::kNo).status()));
  zookeeper_.DeliverEvents();
  EXPECT_THAT(observer_.Events(), ElementsAre("connected", "disconnected", "expired"));
  EXPECT_THAT(zookeeper_.Sessions(), ElementsAre(other->SessionId()));
}

TEST_F(FakeCoordinationTest, DropsTheNextWatchEvents) {
  const auto session = Connect(observer_);
  zookeeper_.DropNextWatchEvents(1);
  ASSERT_TRUE(session->List("/nodes", Watch::kYes).ok());
  ASSERT_TRUE(session->Create("/nodes/1", "", CreateMode::kPersistent).ok());
  ASSERT_TRUE(session->List("/nodes", Watch::kYes).ok());
  ASSERT_TRUE(session->Create("/nodes/2", "", CreateMode::kPersistent).ok());
  zookeeper_.DeliverEvents();
  EXPECT_THAT(observer_.Events(), ElementsAre("connected", "/nodes"));
}

TEST_F(FakeCoordinationTest, UnknownOutcomeIsPerformedOrNotAsAsked) {
  const auto session = Connect(observer_);
  zookeeper_.FailNextWrite(FakeZookeeper::UnknownOutcome::kNotPerformed);
  EXPECT_TRUE(absl::IsUnavailable(session->Create("/nodes/1", "", CreateMode::kPersistent)));
  EXPECT_TRUE(absl::IsNotFound(session->Get("/nodes/1", Watch::kNo).status()));
  zookeeper_.FailNextWrite(FakeZookeeper::UnknownOutcome::kPerformed);
  EXPECT_TRUE(absl::IsUnavailable(session->Create("/nodes/1", "", CreateMode::kPersistent)));
  EXPECT_TRUE(session->Get("/nodes/1", Watch::kNo).ok());
  EXPECT_TRUE(session->Set("/nodes/1", "x", 0).ok());
}

TEST_F(FakeCoordinationTest, ServerDownCutsEverybodyOffAndForgetsNothing) {
  const auto session = Connect(observer_);
  ASSERT_TRUE(session->Create("/nodes/1", "", CreateMode::kEphemeral).ok());
  zookeeper_.SetDown(true);
  EXPECT_TRUE(absl::IsUnavailable(FakeConnector(&zookeeper_).Connect(&other_observer_).status()));
  EXPECT_TRUE(absl::IsUnavailable(session->Get("/nodes/1", Watch::kNo).status()));
  zookeeper_.SetDown(false);
  EXPECT_EQ(session->Get("/nodes/1", Watch::kNo)->ephemeral_owner, session->SessionId());
  zookeeper_.DeliverEvents();
  EXPECT_THAT(observer_.Events(), ElementsAre("connected", "disconnected", "connected"));
}

TEST_F(FakeCoordinationTest, AnIsolatedFollowerReadsThePastAndCatchesUp) {
  const auto session = Connect(observer_);
  const auto other = Connect(other_observer_);
  ASSERT_TRUE(session->List("/nodes", Watch::kYes).ok());
  zookeeper_.Isolate(session->SessionId(), /*can_write=*/false);
  ASSERT_TRUE(other->Create("/nodes/1", "", CreateMode::kPersistent).ok());
  EXPECT_THAT(*session->List("/nodes", Watch::kYes), IsEmpty());
  EXPECT_TRUE(absl::IsUnavailable(session->Create("/nodes/2", "", CreateMode::kPersistent)));
  EXPECT_TRUE(absl::IsNotFound(session->Get("/nodes/1", Watch::kYes).status()));
  zookeeper_.DeliverEvents();
  EXPECT_THAT(observer_.Events(), ElementsAre("connected"));
  zookeeper_.Rejoin(session->SessionId());
  zookeeper_.DeliverEvents();
  EXPECT_THAT(observer_.Events(), ElementsAre("connected", "/nodes/1", "/nodes"));
  EXPECT_THAT(*session->List("/nodes", Watch::kNo), ElementsAre("1"));
}

TEST_F(FakeCoordinationTest, AFollowerThatOnlyLagsCatchesUpWithAWrite) {
  const auto session = Connect(observer_);
  const auto other = Connect(other_observer_);
  zookeeper_.Isolate(session->SessionId(), /*can_write=*/true);
  ASSERT_TRUE(other->Create("/nodes/1", "", CreateMode::kPersistent).ok());
  EXPECT_THAT(*session->List("/nodes", Watch::kNo), IsEmpty());
  EXPECT_TRUE(absl::IsAlreadyExists(session->Create("/nodes/1", "", CreateMode::kPersistent)));
  EXPECT_THAT(*session->List("/nodes", Watch::kNo), ElementsAre("1"));
}

TEST_F(FakeCoordinationTest, AnIsolatedSessionThatExpiresLearnsItWhenItCatchesUp) {
  const auto session = Connect(observer_);
  const auto other = Connect(other_observer_);
  ASSERT_TRUE(session->Create("/nodes/1", "", CreateMode::kEphemeral).ok());
  zookeeper_.Isolate(session->SessionId(), /*can_write=*/false);
  zookeeper_.ExpireSession(session->SessionId());
  EXPECT_TRUE(absl::IsNotFound(other->Get("/nodes/1", Watch::kNo).status()));
  EXPECT_EQ(session->Get("/nodes/1", Watch::kNo)->ephemeral_owner, session->SessionId());
  zookeeper_.Rejoin(session->SessionId());
  EXPECT_TRUE(absl::IsUnauthenticated(session->Get("/nodes/1", Watch::kNo).status()));
}

TEST_F(FakeCoordinationTest, TheWholeTreeCanGo) {
  const auto session = Connect(observer_);
  ASSERT_TRUE(session->Create("/nodes/1", "", CreateMode::kEphemeral).ok());
  ASSERT_TRUE(session->Get("/nodes/1", Watch::kYes).ok());
  zookeeper_.DeleteTree();
  zookeeper_.DeliverEvents();
  EXPECT_THAT(observer_.Events(), ElementsAre("connected", "/nodes/1"));
  EXPECT_TRUE(absl::IsNotFound(session->List("/nodes", Watch::kNo).status()));
  ASSERT_TRUE(session->EnsureFixedPaths().ok());
  EXPECT_THAT(*session->List("/nodes", Watch::kNo), IsEmpty());
}

TEST_F(FakeCoordinationTest, NoEventReachesADestroyedSession) {
  auto session = Connect(observer_);
  session.reset();
  EXPECT_EQ(zookeeper_.DeliverEvents(), 0u);
  EXPECT_THAT(observer_.Events(), IsEmpty());
  EXPECT_THAT(zookeeper_.Sessions(), IsEmpty());
}

}  // namespace
}  // namespace tranche::quota
