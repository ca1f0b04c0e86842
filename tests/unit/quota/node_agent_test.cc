#include "quota/node/node_agent.h"

#include <memory>
#include <optional>
#include <string>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/quota_mover.h"
#include "quota/fake/fake_coordination.h"
#include "storage/fake/fake_ledger.h"
#include "tests/unit/quota/tree_tools.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {
namespace {

using internal::v1::DemandReport;
using internal::v1::DrainRequest;
using internal::v1::NodeRegistration;
using storage::FakeClock;
using storage::FakeLedger;
using storage::IncarnationId;
using storage::kPool;
using storage::QuotaDelta;

// Nothing is begun yet.
class NodeAgentTest : public ::testing::Test, public NodeHost {
 protected:
  NodeAgentTest() {
    EXPECT_TRUE(
        ledger_
            .CreateSku(
                {.sku_id = "tv", .title = "", .price_minor = 100, .currency = "EUR", .stock = 10, .per_user_limit = 10},
                "test")
            .ok());
  }

  static NodeAgentOptions Options() {
    NodeAgentOptions options;
    options.node_name = "n1";
    options.address = "host:7";
    // Too rarely to help: what the tests see, the agent did by an event.
    options.resync_interval = absl::Hours(1);
    return options;
  }

  Coordination& tree() { return other_.tree(); }
  // As the balancer does it: in the ledger, then announced.
  void MoveAndAnnounce(int64_t units) {
    const auto moved = mover_.Move("tv", {QuotaDelta{agent_.incarnation(), units}}, std::nullopt, "test");
    ASSERT_TRUE(moved.ok()) << moved.status();
  }
  std::optional<int64_t> Free() {
    const std::shared_ptr<Slice> slice = slices_.Find("tv");
    if (slice == nullptr || slice->terms() == nullptr) return std::nullopt;
    return slice->counter().free();
  }
  int64_t Pool() { return ledger_.ReadQuota("tv")->slices.front().remaining; }

  // Only this incarnation is live in the ledger, and registered.
  void ExpectOnlyLive(IncarnationId id) {
    const auto live = *ledger_.ListLiveIncarnations();
    ASSERT_EQ(live.size(), 1u);
    EXPECT_EQ(live[0].id, id);
    const auto nodes = *tree().List(kNodesPath, Watch::kNo);
    ASSERT_EQ(nodes.size(), 1u);
    EXPECT_EQ(ParseIncarnation(nodes[0]), id);
  }
  void ExpectRegisteredByItself() {
    const auto znode = tree().Get(NodePath(agent_.incarnation()), Watch::kNo);
    ASSERT_TRUE(znode.ok()) << znode.status();
    EXPECT_EQ(znode->ephemeral_owner, agent_.Session()->SessionId());
    NodeRegistration registration;
    ASSERT_TRUE(registration.ParseFromString(znode->data));
    EXPECT_EQ(registration.name(), "n1");
    EXPECT_EQ(registration.address(), "host:7");
  }
  std::optional<DemandReport> Demand() {
    const auto znode = tree().Get(DemandPath(agent_.incarnation()), Watch::kNo);
    DemandReport report;
    if (!znode.ok() || !report.ParseFromString(znode->data)) return std::nullopt;
    return report;
  }

  // NodeHost.
  void SetDraining(bool draining) override {
    draining_ = draining;
    ++drain_calls_;
  }
  bool Idle() override { return idle_; }
  void ExitAfterDrain() override { ++exits_; }
  bool LedgerAnswers() override { return ledger_answers_; }

  bool draining_ = false;
  int drain_calls_ = 0;
  bool idle_ = true;
  int exits_ = 0;
  bool ledger_answers_ = true;

  FakeClock clock_;
  FakeLedger ledger_{&clock_};
  FakeZookeeper zookeeper_;
  FakeConnector connector_{&zookeeper_};
  Bystander other_{&connector_};
  Announcer announcer_{&other_};
  QuotaMover mover_{&ledger_, &announcer_};
  SliceTable slices_;
  const NodeAgentOptions options_ = Options();
  NodeAgent agent_{&connector_, &ledger_, &slices_, this, &clock_, [](const std::string&) { return 0; }, options_};
};

// One incarnation has begun; every turn is run by hand, on one thread.
class BegunNodeAgentTest : public NodeAgentTest {
 protected:
  BegunNodeAgentTest() {
    const absl::Status begun = agent_.Begin();
    EXPECT_TRUE(begun.ok()) << begun;
    Turns();
  }

  // One turn, and those that follow from it at once.
  void Turns() {
    int turns = 0;
    do {
      agent_.RunOnce();
    } while (agent_.HasWork() && ++turns < 20);
    EXPECT_FALSE(agent_.HasWork()) << "it would go round forever";
  }
  void Give(int64_t units) {
    MoveAndAnnounce(units);
    Turns();
  }
  void AskToDrain(bool exit = false) {
    DrainRequest request;
    request.set_exit(exit);
    ASSERT_TRUE(
        tree().Create(DrainPath(agent_.incarnation()), request.SerializeAsString(), CreateMode::kPersistent).ok());
    Turns();
  }
  void Undrain() {
    ASSERT_TRUE(tree().Delete(DrainPath(agent_.incarnation()), kAnyVersion).ok());
    Turns();
  }
  // Runs the slice dry, with a buyer of `wanted` before it.
  void RunDry(int64_t wanted) {
    const std::shared_ptr<Slice> slice = slices_.Find("tv");
    ASSERT_NE(slice, nullptr);
    ASSERT_TRUE(slice->counter().TryTake(slice->counter().free()));
    slice->CountDenied(wanted);
    ASSERT_TRUE(slice->MarkWanted(wanted));
    slices_.NoteExhausted();
    EXPECT_TRUE(agent_.HasWork());
    Turns();
  }
};

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

TEST_F(BegunNodeAgentTest, FollowsWhatIsAnnounced) {
  Give(4);
  ASSERT_EQ(Free(), 4);
  const std::shared_ptr<Slice> slice = slices_.Find("tv");
  EXPECT_EQ(slice->incarnation(), agent_.incarnation());
  EXPECT_EQ(slice->terms()->per_user_limit, 10);
  EXPECT_FALSE(slice->terms()->sold_out);
  ASSERT_TRUE(slice->counter().TryTake(1));
  Give(3);
  EXPECT_EQ(Free(), 6);
  Give(-5);
  EXPECT_EQ(Free(), 1);
  EXPECT_EQ(slices_.Find("tv"), slice) << "changed in place: claims in flight count on it";
}

TEST_F(BegunNodeAgentTest, WhatNoEventToldIsFoundByTheResync) {
  Give(4);
  zookeeper_.DropNextWatchEvents(100);
  Give(3);
  ASSERT_EQ(Free(), 4);
  clock_.AdvanceBy(options_.resync_interval);
  Turns();
  EXPECT_EQ(Free(), 7);
  zookeeper_.DropNextWatchEvents(0);
  Give(1);
  EXPECT_EQ(Free(), 8) << "its watches are set again";
}

TEST_F(BegunNodeAgentTest, AReconnectReadsEverything) {
  Give(4);
  const int64_t session = agent_.Session()->SessionId();
  zookeeper_.Disconnect(session);
  Give(2);
  EXPECT_EQ(Free(), 4);
  zookeeper_.Reconnect(session);
  EXPECT_TRUE(agent_.HasWork());
  Turns();
  EXPECT_EQ(Free(), 6);
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

TEST_F(BegunNodeAgentTest, ARegistrationOfAnotherSessionIsNotBelievedIn) {
  const IncarnationId id = agent_.incarnation();
  ASSERT_TRUE(tree().Delete(NodePath(id), kAnyVersion).ok());
  ASSERT_TRUE(tree().Create(NodePath(id), "", CreateMode::kEphemeral).ok());
  Turns();
  EXPECT_NE(agent_.incarnation(), id) << "it would go with a session that is not ours";
  ExpectRegisteredByItself();
}

TEST_F(BegunNodeAgentTest, ASliceThatVanishedIsStillOurs) {
  Give(4);
  ASSERT_TRUE(tree().Delete(SlicePath(agent_.incarnation(), "tv"), kAnyVersion).ok());
  Turns();
  EXPECT_EQ(Free(), 4);
  Give(1);
  EXPECT_EQ(Free(), 5);
}

TEST_F(BegunNodeAgentTest, UnreadableAnnouncementsChangeNothing) {
  Give(4);
  ASSERT_TRUE(tree().Set(SlicePath(agent_.incarnation(), "tv"), "\xff", kAnyVersion).ok());
  ASSERT_TRUE(tree().Set(SkuPath("tv"), "\xff", kAnyVersion).ok());
  Turns();
  EXPECT_EQ(Free(), 4);
}

TEST_F(BegunNodeAgentTest, ARequestToDrainIsPassedOnOnceAndOnlyToTheOneWhomItNames) {
  ASSERT_TRUE(tree().Create(DrainPath(agent_.incarnation() + 1), "", CreateMode::kPersistent).ok());
  Turns();
  EXPECT_EQ(drain_calls_, 0) << "that was for another node";
  AskToDrain();
  EXPECT_TRUE(draining_);
  ASSERT_TRUE(tree().Create(DrainPath(agent_.incarnation() + 2), "", CreateMode::kPersistent).ok());
  Turns();
  EXPECT_EQ(drain_calls_, 1);
}

TEST_F(BegunNodeAgentTest, DrainingHandsTheUnitsBackWhenEveryGrantIsDecided) {
  Give(4);
  idle_ = false;
  AskToDrain();
  EXPECT_TRUE(draining_);
  EXPECT_EQ(Pool(), 6) << "its own grants are not decided yet";
  EXPECT_LE(agent_.TurnInterval(), absl::Milliseconds(10));
  idle_ = true;
  Turns();
  EXPECT_EQ(Pool(), 10);
  Turns();
  EXPECT_EQ(Free(), 0) << "it hears of it as of any move";
  EXPECT_EQ(exits_, 0);
  ExpectOnlyLive(agent_.incarnation());
  EXPECT_EQ(ledger_.ListAudit("tv", 0, 1)->front().actor, "drain");

  // Whatever was given to it by somebody who did not know yet.
  Give(2);
  Turns();
  EXPECT_EQ(Pool(), 10);
}

TEST_F(BegunNodeAgentTest, DrainingWaitsForItsPatienceAtMost) {
  Give(4);
  idle_ = false;
  AskToDrain();
  clock_.AdvanceBy(options_.drain_patience - absl::Milliseconds(1));
  Turns();
  EXPECT_EQ(Pool(), 6);
  clock_.AdvanceBy(absl::Milliseconds(1));
  Turns();
  EXPECT_EQ(Pool(), 10);
}

TEST_F(BegunNodeAgentTest, DrainingIsTriedAgainUntilTheLedgerTakesTheUnits) {
  Give(4);
  idle_ = false;
  AskToDrain(/*exit=*/true);
  idle_ = true;
  ledger_.FailNext(1);
  agent_.RunOnce();
  EXPECT_EQ(Pool(), 6);
  EXPECT_EQ(exits_, 0);
  Turns();
  EXPECT_EQ(Pool(), 10);
  EXPECT_GE(exits_, 1);
}

TEST_F(BegunNodeAgentTest, TheProcessEndsOnlyWhenItsUnitsAreHandedBack) {
  Give(4);
  idle_ = false;
  AskToDrain(/*exit=*/true);
  EXPECT_EQ(exits_, 0);
  idle_ = true;
  Turns();
  EXPECT_EQ(Pool(), 10);
  EXPECT_GE(exits_, 1);
}

TEST_F(BegunNodeAgentTest, AnUndrainedNodeServesAgain) {
  Give(4);
  AskToDrain();
  ASSERT_EQ(Pool(), 10);
  Undrain();
  EXPECT_FALSE(draining_);
  EXPECT_EQ(drain_calls_, 2);
  Give(3);
  Turns();
  EXPECT_EQ(Free(), 3);
  EXPECT_EQ(Pool(), 7) << "and keeps what it gets";
}

TEST_F(BegunNodeAgentTest, ADrainSurvivesANewIncarnation) {
  AskToDrain();
  const IncarnationId old = agent_.incarnation();
  zookeeper_.ExpireSession(agent_.Session()->SessionId());
  Turns();
  ASSERT_NE(agent_.incarnation(), old);
  EXPECT_TRUE(draining_);
  EXPECT_EQ(drain_calls_, 1) << "it served nobody in between";
  EXPECT_TRUE(other_.Exists(DrainPath(agent_.incarnation())));
  EXPECT_TRUE(ledger_.ListLiveIncarnations()->front().draining);
  Undrain();
  EXPECT_FALSE(draining_);
}

TEST_F(BegunNodeAgentTest, ADrainSurvivesTheTree) {
  ASSERT_TRUE(ledger_.SetDraining(agent_.incarnation(), true, "test").ok());
  AskToDrain(/*exit=*/false);
  other_.DeleteTree();
  Turns();
  EXPECT_TRUE(draining_);
  EXPECT_EQ(drain_calls_, 1);
  EXPECT_TRUE(other_.Exists(DrainPath(agent_.incarnation())));
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

TEST_F(BegunNodeAgentTest, DemandIsReportedAtOnceUntilUnitsArrive) {
  Give(4);
  RunDry(/*wanted=*/2);
  ASSERT_TRUE(Demand().has_value());
  ASSERT_EQ(Demand()->skus_size(), 1);
  const DemandReport report = *Demand();
  EXPECT_EQ(report.skus(0).sku_id(), "tv");
  EXPECT_EQ(report.skus(0).wanted(), 2);
  EXPECT_EQ(report.skus(0).free(), 0);
  EXPECT_EQ(report.skus(0).slice_version(), slices_.Find("tv")->counter().version());
  EXPECT_EQ(report.reported_at_us(), absl::ToUnixMicros(clock_.Now()));
  Give(2);
  EXPECT_EQ(Demand()->skus_size(), 0);
  EXPECT_GT(Demand()->sequence(), report.sequence());
}

TEST_F(BegunNodeAgentTest, RatesAreReportedOnceAnInterval) {
  Give(4);
  slices_.Find("tv")->CountGranted(10);
  const int64_t sequence = Demand()->sequence();
  Turns();
  EXPECT_EQ(Demand()->sequence(), sequence) << "a rate is no hurry";
  clock_.AdvanceBy(options_.demand.interval);
  Turns();
  ASSERT_EQ(Demand()->skus_size(), 1);
  EXPECT_GT(Demand()->skus(0).grants_per_s(), 1);
  EXPECT_EQ(Demand()->skus(0).wanted(), 0);
}

TEST_F(BegunNodeAgentTest, AReportThatCouldNotBeWrittenIsDueAgain) {
  Give(4);
  zookeeper_.FailNextWrite(FakeZookeeper::UnknownOutcome::kNotPerformed);
  RunDry(/*wanted=*/2);
  EXPECT_EQ(Demand()->skus_size(), 0);
  Turns();
  EXPECT_EQ(Demand()->skus_size(), 1);
}

TEST_F(BegunNodeAgentTest, ANodeThatCannotCommitSaysSo) {
  ledger_answers_ = false;
  Turns();
  EXPECT_TRUE(Demand()->cannot_commit());
  ledger_answers_ = true;
  Turns();
  EXPECT_FALSE(Demand()->cannot_commit());
}

TEST_F(BegunNodeAgentTest, AnIdleNodeGivesASignOfLife) {
  const int64_t sequence = Demand()->sequence();
  clock_.AdvanceBy(options_.demand.heartbeat - absl::Milliseconds(1));
  Turns();
  EXPECT_EQ(Demand()->sequence(), sequence);
  clock_.AdvanceBy(absl::Milliseconds(1));
  Turns();
  EXPECT_EQ(Demand()->sequence(), sequence + 1);
}

TEST_F(BegunNodeAgentTest, WhatIsSoldOutIsNobodysDemand) {
  Give(10);
  storage::ReservationClaim claim{.reservation_id = {}, .sku_id = "tv", .user_id = "u", .quantity = 10};
  claim.reservation_id.bytes[15] = 1;
  ASSERT_TRUE(ledger_.CommitReservations(agent_.incarnation(), storage::LockMode::kWait, {claim}).ok());
  RunDry(/*wanted=*/1);
  ASSERT_EQ(Demand()->skus_size(), 1);
  ASSERT_TRUE(announcer_.AnnounceSkus({*ledger_.GetSku("tv")}).ok());
  Turns();
  EXPECT_EQ(Demand()->skus_size(), 0);
  EXPECT_TRUE(slices_.Find("tv")->terms()->sold_out);
}

}  // namespace
}  // namespace tranche::quota
