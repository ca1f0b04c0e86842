#include "quota/node_agent.h"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "quota/coordination_paths.h"
#include "quota/fake_coordination.h"
#include "quota/quota_mover.h"
#include "storage/fake_ledger.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {
namespace {

using internal::v1::DemandReport;
using internal::v1::NodeRegistration;
using storage::FakeClock;
using storage::FakeLedger;
using storage::IncarnationId;
using storage::kPool;
using storage::QuotaDelta;

// The operator's, or the balancer's, session.
class OtherSide : public CoordinationObserver, public SessionSource {
 public:
  explicit OtherSide(CoordinationConnector* connector) : session_(*connector->Connect(this)) {}

  std::shared_ptr<Coordination> Session() override { return session_; }
  void OnChanged(const std::string& path) override {}
  void OnConnected() override {}
  void OnDisconnected() override {}
  void OnSessionExpired() override {}

 private:
  std::shared_ptr<Coordination> session_;
};

// True as soon as `condition` holds; false if it does not within the time that even a busy machine needs.
bool Eventually(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(1));
  }
  return true;
}

// The agent runs on its own thread. It resyncs too rarely to help: what the tests see, it did by an event.
class NodeAgentTest : public ::testing::Test, public NodeHost {
 protected:
  NodeAgentTest() {
    EXPECT_TRUE(
        ledger_
            .CreateSku(
                {.sku_id = "tv", .title = "", .price_minor = 100, .currency = "EUR", .stock = 10, .per_user_limit = 10},
                "test")
            .ok());
    const absl::Status started = agent_.Start();
    EXPECT_TRUE(started.ok()) << started;
  }

  Coordination& tree() { return *other_.Session(); }
  bool Exists(const std::string& path) { return tree().Get(path, Watch::kNo).ok(); }

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
  bool AwaitFree(int64_t units) {
    return Eventually([&] { return Free() == units; });
  }
  bool AwaitIncarnationAfter(IncarnationId old) {
    return Eventually([&] { return agent_.incarnation() != old; });
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
  std::optional<DemandReport> Demand() {
    const auto znode = tree().Get(DemandPath(agent_.incarnation()), Watch::kNo);
    DemandReport report;
    if (!znode.ok() || !report.ParseFromString(znode->data)) return std::nullopt;
    return report;
  }
  // Runs the slice dry, with a buyer of `wanted` before it.
  void RunDry(int64_t wanted) {
    const std::shared_ptr<Slice> slice = slices_.Find("tv");
    ASSERT_NE(slice, nullptr);
    ASSERT_TRUE(slice->counter().TryTake(slice->counter().free()));
    ASSERT_TRUE(slice->MarkWanted(wanted));
    slices_.NoteExhausted();
  }

  // On the agent's thread.
  void SetDraining(bool draining) override {
    draining_ = draining;
    if (hold_drain_) let_drain_go_.WaitForNotificationWithTimeout(absl::Seconds(20));
  }
  bool Idle() override { return idle_; }
  void ExitAfterDrain() override { exits_.fetch_add(1); }
  bool LedgerAnswers() override { return true; }

  FakeClock clock_;
  FakeLedger ledger_{&clock_};
  FakeZookeeper zookeeper_;
  FakeConnector connector_{&zookeeper_};
  OtherSide other_{&connector_};
  Announcer announcer_{&other_};
  QuotaMover mover_{&ledger_, &announcer_};
  SliceTable slices_;
  std::atomic<bool> draining_{false};
  std::atomic<bool> idle_{true};
  std::atomic<int> exits_{0};
  std::atomic<bool> hold_drain_{false};
  absl::Notification let_drain_go_;
  NodeAgent agent_{&connector_, &ledger_, &slices_, this, &clock_, [](const std::string&) { return 0; }, Options()};

  static NodeAgentOptions Options() {
    NodeAgentOptions options;
    options.node_name = "n1";
    options.address = "host:7";
    options.resync_interval = absl::Hours(1);
    return options;
  }
};

TEST_F(NodeAgentTest, RegistersWithNameAndAddressForAsLongAsItsSessionLives) {
  const auto znode = tree().Get(NodePath(agent_.incarnation()), Watch::kNo);
  ASSERT_TRUE(znode.ok()) << znode.status();
  EXPECT_EQ(znode->ephemeral_owner, agent_.Session()->SessionId());
  NodeRegistration registration;
  ASSERT_TRUE(registration.ParseFromString(znode->data));
  EXPECT_EQ(registration.name(), "n1");
  EXPECT_EQ(registration.address(), "host:7");
  ExpectOnlyLive(agent_.incarnation());
}

TEST_F(NodeAgentTest, FollowsWhatIsAnnounced) {
  MoveAndAnnounce(4);
  ASSERT_TRUE(AwaitFree(4));
  const std::shared_ptr<Slice> slice = slices_.Find("tv");
  EXPECT_EQ(slice->incarnation(), agent_.incarnation());
  EXPECT_EQ(slice->terms()->per_user_limit, 10);
  EXPECT_FALSE(slice->terms()->sold_out);
  ASSERT_TRUE(slice->counter().TryTake(1));
  MoveAndAnnounce(3);
  EXPECT_TRUE(AwaitFree(6));
  MoveAndAnnounce(-5);
  EXPECT_TRUE(AwaitFree(1));
  EXPECT_EQ(slices_.Find("tv"), slice) << "changed in place: claims in flight count on it";
}

TEST_F(NodeAgentTest, ARequestToDrainIsPassedOnOnce) {
  ASSERT_TRUE(tree().Create(DrainPath(agent_.incarnation() + 1), "", CreateMode::kPersistent).ok());
  MoveAndAnnounce(1);
  ASSERT_TRUE(AwaitFree(1));
  EXPECT_EQ(drains_.load(), 0) << "that was for another node";
  ASSERT_TRUE(tree().Create(DrainPath(agent_.incarnation()), "", CreateMode::kPersistent).ok());
  ASSERT_TRUE(Eventually([&] { return drains_.load() > 0; }));
  // It reads all requests again, and has done so when it sees the announcement that comes after.
  ASSERT_TRUE(tree().Create(DrainPath(agent_.incarnation() + 2), "", CreateMode::kPersistent).ok());
  MoveAndAnnounce(1);
  ASSERT_TRUE(AwaitFree(2));
  EXPECT_EQ(drains_.load(), 1);
}

TEST_F(NodeAgentTest, AnExpiredSessionEndsTheIncarnation) {
  MoveAndAnnounce(4);
  ASSERT_TRUE(AwaitFree(4));
  const IncarnationId old = agent_.incarnation();
  const int64_t old_session = agent_.Session()->SessionId();
  zookeeper_.ExpireSession(old_session);
  ASSERT_TRUE(AwaitIncarnationAfter(old));
  EXPECT_NE(agent_.Session()->SessionId(), old_session);
  ExpectOnlyLive(agent_.incarnation());
  EXPECT_EQ(slices_.Find("tv"), nullptr);
  EXPECT_EQ(Pool(), 10);
  MoveAndAnnounce(2);
  EXPECT_TRUE(AwaitFree(2)) << "the new one is followed, too";
}

TEST_F(NodeAgentTest, ASessionThatExpiresInAnOutageIsReplacedWhenTheOutageEnds) {
  const IncarnationId old = agent_.incarnation();
  const int64_t session = agent_.Session()->SessionId();
  zookeeper_.SetDown(true);
  zookeeper_.ExpireSession(session);
  EXPECT_EQ(agent_.incarnation(), old) << "it cannot know";
  zookeeper_.SetDown(false);
  ASSERT_TRUE(AwaitIncarnationAfter(old));
  ExpectOnlyLive(agent_.incarnation());
}

TEST_F(NodeAgentTest, AnIncarnationThatTheLedgerEndedIsReplaced) {
  MoveAndAnnounce(4);
  ASSERT_TRUE(AwaitFree(4));
  const IncarnationId old = agent_.incarnation();
  const int64_t session = agent_.Session()->SessionId();
  ASSERT_TRUE(ledger_.ReclaimIncarnation(old).ok());
  slices_.NoteIncarnationEnded(old);
  ASSERT_TRUE(AwaitIncarnationAfter(old));
  EXPECT_EQ(agent_.Session()->SessionId(), session) << "the session is as good as it was";
  ExpectOnlyLive(agent_.incarnation());
  EXPECT_FALSE(Exists(NodePath(old)));
  EXPECT_FALSE(Exists(SlicesPath(old)));
  EXPECT_EQ(slices_.Find("tv"), nullptr);
}

TEST_F(NodeAgentTest, ALateNoteOfAnEarlierIncarnationIsIgnored) {
  const IncarnationId first = agent_.incarnation();
  slices_.NoteIncarnationEnded(first);
  ASSERT_TRUE(AwaitIncarnationAfter(first));
  const IncarnationId second = agent_.incarnation();
  slices_.NoteIncarnationEnded(first);
  MoveAndAnnounce(4);
  ASSERT_TRUE(AwaitFree(4));
  EXPECT_EQ(agent_.incarnation(), second);
  ExpectOnlyLive(second);
}

TEST_F(NodeAgentTest, ALateNoteDoesNotHideThatTheCurrentIncarnationHasEnded) {
  const IncarnationId first = agent_.incarnation();
  slices_.NoteIncarnationEnded(first);
  ASSERT_TRUE(AwaitIncarnationAfter(first));
  const IncarnationId second = agent_.incarnation();
  // The agent is busy meanwhile, so that it finds both notes at once.
  hold_drain_ = true;
  ASSERT_TRUE(tree().Create(DrainPath(second), "", CreateMode::kPersistent).ok());
  ASSERT_TRUE(Eventually([&] { return drains_.load() > 0; }));
  slices_.NoteIncarnationEnded(second);
  slices_.NoteIncarnationEnded(first);
  let_drain_go_.Notify();
  ASSERT_TRUE(AwaitIncarnationAfter(second));
  ExpectOnlyLive(agent_.incarnation());
}

TEST_F(NodeAgentTest, ARegistrationThatSomebodyRemovedIsReplaced) {
  const IncarnationId old = agent_.incarnation();
  // Its watch is set by the first sync, which has been when an announcement is seen.
  MoveAndAnnounce(1);
  ASSERT_TRUE(AwaitFree(1));
  ASSERT_TRUE(tree().Delete(NodePath(old), kAnyVersion).ok());
  ASSERT_TRUE(AwaitIncarnationAfter(old));
  ExpectOnlyLive(agent_.incarnation());
}

TEST_F(NodeAgentTest, ReleaseReturnsTheUnitsAndLeavesNothingBehind) {
  MoveAndAnnounce(4);
  ASSERT_TRUE(AwaitFree(4));
  const IncarnationId id = agent_.incarnation();
  ASSERT_TRUE(tree().Create(DrainPath(id), "", CreateMode::kPersistent).ok());
  ASSERT_EQ(Pool(), 6);
  ASSERT_TRUE(agent_.Release().ok());
  EXPECT_EQ(Pool(), 10);
  EXPECT_TRUE(ledger_.ListLiveIncarnations()->empty());
  EXPECT_TRUE(slices_.All().empty());
  for (const std::string& path : {NodePath(id), SlicesPath(id), DemandPath(id), DrainPath(id)}) {
    EXPECT_FALSE(Exists(path)) << path;
  }
}

TEST_F(NodeAgentTest, DemandIsReportedUntilUnitsArrive) {
  MoveAndAnnounce(4);
  ASSERT_TRUE(AwaitFree(4));
  EXPECT_FALSE(Demand().has_value()) << "nothing is written while nothing is wanted";
  RunDry(/*wanted=*/2);
  ASSERT_TRUE(Eventually([&] { return Demand().has_value() && Demand()->skus_size() == 1; }));
  const DemandReport report = *Demand();
  EXPECT_EQ(report.skus(0).sku_id(), "tv");
  EXPECT_EQ(report.skus(0).wanted(), 2);
  EXPECT_EQ(report.skus(0).free(), 0);
  EXPECT_EQ(report.skus(0).slice_version(), slices_.Find("tv")->counter().version());
  MoveAndAnnounce(2);
  EXPECT_TRUE(Eventually([&] { return Demand()->skus_size() == 0; }));
  EXPECT_GT(Demand()->sequence(), report.sequence());
}

TEST_F(NodeAgentTest, WhatIsSoldOutIsNobodysDemand) {
  MoveAndAnnounce(10);
  ASSERT_TRUE(AwaitFree(10));
  storage::ReservationClaim claim{.reservation_id = {}, .sku_id = "tv", .user_id = "u", .quantity = 10};
  claim.reservation_id.bytes[15] = 1;
  ASSERT_TRUE(ledger_.CommitReservations(agent_.incarnation(), storage::LockMode::kWait, {claim}).ok());
  RunDry(/*wanted=*/1);
  ASSERT_TRUE(Eventually([&] { return Demand().has_value() && Demand()->skus_size() == 1; }));
  ASSERT_TRUE(announcer_.AnnounceSkus({*ledger_.GetSku("tv")}).ok());
  EXPECT_TRUE(Eventually([&] { return Demand()->skus_size() == 0; }));
  EXPECT_TRUE(slices_.Find("tv")->terms()->sold_out);
}

}  // namespace
}  // namespace tranche::quota
