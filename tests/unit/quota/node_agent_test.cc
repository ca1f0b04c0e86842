// An agent's incarnations: how they begin, what ends them, and what does not.
#include "quota/node/node_agent.h"

#include <memory>
#include <string>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "quota/coordination/front_door_announcement.h"
#include "quota/coordination/live_nodes.h"
#include "tests/unit/quota/node_agent_fixture.h"

namespace tranche::quota {
namespace {

using internal::v1::DemandReport;
using storage::IncarnationId;
using storage::kPool;

TEST_F(NodeAgentTest, BeginFailsWithoutZookeeperAndWithoutTheLedger) {
  zookeeper_.SetDown(true);
  EXPECT_TRUE(absl::IsUnavailable(agent_.Begin()));
  zookeeper_.SetDown(false);
  ledger_.FailNext(1);
  EXPECT_TRUE(absl::IsUnavailable(agent_.Begin()));
  EXPECT_EQ(agent_.incarnation(), kPool);
  EXPECT_TRUE(agent_.Begin().ok());
  ExpectOnlyLive(agent_.incarnation());
}

TEST_F(NodeAgentTest, AThreadOfItsOwnTakesTheTurns) {
  absl::Notification heard;
  slices_.SetChangeListener([&](const std::string& sku_id) {
    if (sku_id == "tv" && Free() == 4 && !heard.HasBeenNotified()) heard.Notify();
  });
  ASSERT_TRUE(agent_.Start().ok());
  MoveAndAnnounce(4);
  EXPECT_TRUE(heard.WaitForNotificationWithTimeout(absl::Seconds(20)));
  ASSERT_TRUE(agent_.Release().ok());
  EXPECT_EQ(Pool(), 10);
}

TEST_F(BegunNodeAgentTest, RegistersWithNameAndAddressForAsLongAsItsSessionLives) {
  ExpectRegisteredByItself();
  ExpectOnlyLive(agent_.incarnation());
}

TEST_F(BegunNodeAgentTest, AnExpiredSessionEndsTheIncarnation) {
  Give(4);
  const IncarnationId old = agent_.incarnation();
  const int64_t old_session = agent_.Session()->SessionId();
  zookeeper_.ExpireSession(old_session);
  Turns();
  EXPECT_NE(agent_.incarnation(), old);
  EXPECT_NE(agent_.Session()->SessionId(), old_session);
  ExpectOnlyLive(agent_.incarnation());
  EXPECT_EQ(slices_.Find("tv"), nullptr);
  EXPECT_EQ(Pool(), 10);
  Give(2);
  EXPECT_EQ(Free(), 2) << "the new one is followed, too";
}

TEST_F(BegunNodeAgentTest, ASessionThatExpiresInAnOutageIsReplacedWhenTheOutageEnds) {
  Give(4);
  const IncarnationId old = agent_.incarnation();
  const int64_t session = agent_.Session()->SessionId();
  zookeeper_.SetDown(true);
  zookeeper_.ExpireSession(session);
  clock_.AdvanceBy(options_.resync_interval);
  Turns();
  EXPECT_EQ(agent_.incarnation(), old) << "it cannot know";
  EXPECT_EQ(Free(), 4) << "and goes on selling";
  zookeeper_.SetDown(false);
  Turns();
  EXPECT_NE(agent_.incarnation(), old);
  ExpectOnlyLive(agent_.incarnation());
}

TEST_F(BegunNodeAgentTest, ALedgerThatIsAwayDelaysTheNewIncarnation) {
  const IncarnationId old = agent_.incarnation();
  ledger_.FailNext(2);  // the reclaim of the old one, the registration of the new one
  zookeeper_.ExpireSession(agent_.Session()->SessionId());
  agent_.RunOnce();
  EXPECT_EQ(agent_.incarnation(), old);
  EXPECT_EQ(slices_.FindOrAdd("tv"), nullptr) << "it sells as nobody";
  EXPECT_EQ(agent_.TurnInterval(), options_.restart_pause);
  Turns();
  EXPECT_EQ(agent_.incarnation(), old + 1);
  ExpectRegisteredByItself();
}

TEST_F(BegunNodeAgentTest, ARegistrationThatDidNotReachZookeeperIsTakenUpAgain) {
  const IncarnationId old = agent_.incarnation();
  zookeeper_.ExpireSession(agent_.Session()->SessionId());
  zookeeper_.FailNextWrite(FakeZookeeper::UnknownOutcome::kNotPerformed);
  agent_.RunOnce();
  EXPECT_EQ(agent_.incarnation(), old);
  zookeeper_.FailNextWrite(FakeZookeeper::UnknownOutcome::kPerformed);
  agent_.RunOnce();
  EXPECT_EQ(agent_.incarnation(), old);
  Turns();
  EXPECT_EQ(agent_.incarnation(), old + 1) << "an outage leaves no trail of incarnations";
  ExpectOnlyLive(old + 1);
}

TEST_F(BegunNodeAgentTest, AnIncarnationThatTheLedgerEndedIsReplaced) {
  Give(4);
  const IncarnationId old = agent_.incarnation();
  const int64_t session = agent_.Session()->SessionId();
  ASSERT_TRUE(ledger_.ReclaimIncarnation(old).ok());
  slices_.NoteIncarnationEnded(old);
  Turns();
  EXPECT_NE(agent_.incarnation(), old);
  EXPECT_EQ(agent_.Session()->SessionId(), session) << "the session is as good as it was";
  ExpectOnlyLive(agent_.incarnation());
  EXPECT_FALSE(other_.Exists(NodePath(old)));
  EXPECT_FALSE(other_.Exists(SlicesPath(old)));
  EXPECT_EQ(slices_.Find("tv"), nullptr);
}

TEST_F(BegunNodeAgentTest, ALateNoteOfAnEarlierIncarnationIsIgnored) {
  const IncarnationId first = agent_.incarnation();
  slices_.NoteIncarnationEnded(first);
  Turns();
  const IncarnationId second = agent_.incarnation();
  ASSERT_NE(second, first);
  slices_.NoteIncarnationEnded(first);
  Turns();
  EXPECT_EQ(agent_.incarnation(), second);
  ExpectOnlyLive(second);
}

TEST_F(BegunNodeAgentTest, ALateNoteDoesNotHideThatTheCurrentIncarnationHasEnded) {
  const IncarnationId first = agent_.incarnation();
  slices_.NoteIncarnationEnded(first);
  Turns();
  const IncarnationId second = agent_.incarnation();
  slices_.NoteIncarnationEnded(second);
  slices_.NoteIncarnationEnded(first);
  Turns();
  EXPECT_NE(agent_.incarnation(), second);
  ExpectOnlyLive(agent_.incarnation());
}

TEST_F(BegunNodeAgentTest, ARegistrationThatSomebodyRemovedIsMadeAgainByTheSameIncarnation) {
  Give(4);
  const IncarnationId id = agent_.incarnation();
  const std::shared_ptr<Slice> slice = slices_.Find("tv");
  ASSERT_TRUE(tree().Delete(NodePath(id), kAnyVersion).ok());
  Turns();
  EXPECT_EQ(agent_.incarnation(), id);
  ExpectOnlyLive(id);
  ExpectRegisteredByItself();
  EXPECT_EQ(slices_.Find("tv"), slice) << "it never stopped selling";
  EXPECT_EQ(Free(), 4);
  ASSERT_TRUE(tree().Delete(NodePath(id), kAnyVersion).ok());
  Turns();
  ExpectRegisteredByItself();
}

TEST_F(BegunNodeAgentTest, ADeletedTreeIsRestoredAroundTheSameIncarnation) {
  Give(4);
  RunDry(/*wanted=*/2);
  const IncarnationId id = agent_.incarnation();
  const int64_t sequence = Demand()->sequence();
  other_.DeleteTree();
  Turns();
  EXPECT_EQ(agent_.incarnation(), id);
  ExpectOnlyLive(id);
  ExpectRegisteredByItself();
  for (const char* path : kFixedPaths) EXPECT_TRUE(other_.Exists(path)) << path;
  ASSERT_TRUE(Demand().has_value()) << "the report is there again";
  ASSERT_EQ(Demand()->skus_size(), 1);
  EXPECT_EQ(Demand()->skus(0).wanted(), 2);
  EXPECT_GT(Demand()->sequence(), sequence);
  Give(3);
  EXPECT_EQ(Free(), 3) << "what is announced from now on is followed";
  const DemandReport served = *Demand();
  for (const auto& sku : served.skus()) EXPECT_EQ(sku.wanted(), 0);
}

TEST_F(BegunNodeAgentTest, ItsProcessHearsOfEachVersionOfTheFrontDoor) {
  EXPECT_EQ(front_door_, 0) << "none is announced";
  for (const int64_t version : {7, 8, 12}) {
    ASSERT_TRUE(AnnounceFrontDoor(tree(), version).ok());
    Turns();
    EXPECT_EQ(front_door_, version);
  }
  ASSERT_TRUE(tree().Set(kFrontDoorPath, "garbage", kAnyVersion).ok());
  Turns();
  EXPECT_EQ(front_door_, 0);
  ASSERT_TRUE(AnnounceFrontDoor(tree(), 13).ok());
  Turns();
  EXPECT_EQ(front_door_, 13);
}

TEST_F(BegunNodeAgentTest, ItHearsOfTheFrontDoorAlsoAfterItsZnodeWasDeleted) {
  ASSERT_TRUE(AnnounceFrontDoor(tree(), 7).ok());
  Turns();
  ASSERT_TRUE(tree().Delete(kFrontDoorPath, kAnyVersion).ok());
  Turns();
  EXPECT_TRUE(other_.Exists(kFrontDoorPath));
  EXPECT_EQ(front_door_, 0);
  ASSERT_TRUE(AnnounceFrontDoor(tree(), 8).ok());
  Turns();
  EXPECT_EQ(front_door_, 8) << "at once, not at the next look at everything";
}

TEST_F(BegunNodeAgentTest, ItHearsOfTheFrontDoorInItsNextSessionToo) {
  ASSERT_TRUE(AnnounceFrontDoor(tree(), 7).ok());
  Turns();
  zookeeper_.ExpireSession(agent_.Session()->SessionId());
  Turns();
  ASSERT_TRUE(AnnounceFrontDoor(tree(), 8).ok());
  Turns();
  EXPECT_EQ(front_door_, 8);
}

TEST_F(BegunNodeAgentTest, EveryFixedFolderThatIsMissingIsMadeAgain) {
  Give(4);
  const IncarnationId id = agent_.incarnation();
  for (const char* path : {kNodesPath, kSlicesPath, kDrainPath}) {
    other_.DeleteAll(path);
    clock_.AdvanceBy(options_.resync_interval);
    Turns();
    EXPECT_TRUE(other_.Exists(path)) << path;
    EXPECT_TRUE(other_.Exists(SlicesPath(id))) << path;
    ExpectRegisteredByItself();
    EXPECT_EQ(Free(), 4);
  }
}

TEST_F(BegunNodeAgentTest, ARegistrationThatWentBecauseTheLedgerEndedItIsNotMadeAgain) {
  Give(4);
  const IncarnationId id = agent_.incarnation();
  ASSERT_TRUE(ledger_.ReclaimIncarnation(id).ok());
  ASSERT_TRUE(tree().Delete(NodePath(id), kAnyVersion).ok());
  Turns();
  EXPECT_NE(agent_.incarnation(), id);
  ExpectOnlyLive(agent_.incarnation());
  EXPECT_EQ(slices_.Find("tv"), nullptr);
}

TEST_F(BegunNodeAgentTest, WhileTheLedgerIsAwayALostRegistrationEndsNothing) {
  Give(4);
  const IncarnationId id = agent_.incarnation();
  ASSERT_TRUE(tree().Delete(NodePath(id), kAnyVersion).ok());
  ledger_.FailNext(1);
  agent_.RunOnce();
  EXPECT_EQ(Free(), 4);
  EXPECT_FALSE(other_.Exists(NodePath(id)));
  Turns();
  EXPECT_EQ(agent_.incarnation(), id);
  ExpectRegisteredByItself();
}

TEST_F(NodeAgentTest, AConsumerRegistersAsSuch) {
  NodeAgentOptions options = options_;
  options.consumer = true;
  NodeAgent consumer(
      &connector_, &ledger_, &slices_, this, &clock_, [](const std::string&) { return 0; }, options);
  ASSERT_TRUE(consumer.Begin().ok());
  const auto nodes = ListLiveNodes(tree());
  ASSERT_TRUE(nodes.ok()) << nodes.status();
  ASSERT_EQ(nodes->size(), 1u);
  EXPECT_TRUE(nodes->front().consumer);
}

TEST_F(BegunNodeAgentTest, ARegistrationOfAnotherSessionIsNotBelievedIn) {
  const IncarnationId id = agent_.incarnation();
  ASSERT_TRUE(tree().Delete(NodePath(id), kAnyVersion).ok());
  ASSERT_TRUE(tree().Create(NodePath(id), "", CreateMode::kEphemeral).ok());
  Turns();
  EXPECT_NE(agent_.incarnation(), id) << "it would go with a session that is not ours";
  ExpectRegisteredByItself();
}

TEST_F(BegunNodeAgentTest, ARegistrationThatSomebodyWroteOverIsWrittenAgain) {
  const IncarnationId id = agent_.incarnation();
  const std::string written = tree().Get(NodePath(id), Watch::kNo)->data;
  internal::v1::NodeRegistration other;
  other.set_name("n2");
  other.set_address("elsewhere:1");
  for (const std::string& data : {std::string("\xff\xff"), std::string(), other.SerializeAsString()}) {
    ASSERT_TRUE(tree().Set(NodePath(id), data, kAnyVersion).ok());
    Turns();
    EXPECT_EQ(tree().Get(NodePath(id), Watch::kNo)->data, written);
    EXPECT_EQ(agent_.incarnation(), id) << "it goes on";
  }
}

TEST_F(BegunNodeAgentTest, ReleaseReturnsTheUnitsAndLeavesNothingBehind) {
  Give(4);
  const IncarnationId id = agent_.incarnation();
  ASSERT_TRUE(tree().Create(DrainPath(id), "", CreateMode::kPersistent).ok());
  ASSERT_EQ(Pool(), 6);
  ASSERT_TRUE(agent_.Release().ok());
  EXPECT_EQ(Pool(), 10);
  EXPECT_TRUE(ledger_.ListLiveIncarnations()->empty());
  EXPECT_TRUE(slices_.All().empty());
  for (const std::string& path : {NodePath(id), SlicesPath(id), DemandPath(id), DrainPath(id)}) {
    EXPECT_FALSE(other_.Exists(path)) << path;
  }
}

}  // namespace
}  // namespace tranche::quota
