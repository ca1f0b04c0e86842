// A node's agent on the fakes, whose turns are run by hand.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "gtest/gtest.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/quota_mover.h"
#include "quota/fake/fake_coordination.h"
#include "quota/node/node_agent.h"
#include "storage/fake/fake_ledger.h"
#include "tests/unit/quota/tree_tools.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {

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
    // Too rarely to help: so what the tests see was caused by an event.
    options.resync_interval = absl::Hours(1);
    return options;
  }

  Coordination& tree() { return other_.tree(); }
  // As the balancer does it: first in the ledger, then announced.
  void MoveAndAnnounce(int64_t units) {
    const auto moved = mover_.Move("tv", {storage::QuotaDelta{agent_.incarnation(), units}}, std::nullopt, "test");
    ASSERT_TRUE(moved.ok()) << moved.status();
  }
  std::optional<int64_t> Free() {
    const std::shared_ptr<Slice> slice = slices_.Find("tv");
    if (slice == nullptr || slice->terms() == nullptr) return std::nullopt;
    return slice->counter().free();
  }
  int64_t Pool() { return ledger_.ReadQuota("tv")->slices.front().remaining; }

  // Only this incarnation is live in the ledger, and registered.
  void ExpectOnlyLive(storage::IncarnationId id) {
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
    internal::v1::NodeRegistration registration;
    ASSERT_TRUE(registration.ParseFromString(znode->data));
    EXPECT_EQ(registration.name(), "n1");
    EXPECT_EQ(registration.address(), "host:7");
    EXPECT_EQ(registration.consumer(), options_.consumer);
  }
  std::optional<internal::v1::DemandReport> Demand() {
    const auto znode = tree().Get(DemandPath(agent_.incarnation()), Watch::kNo);
    internal::v1::DemandReport report;
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
  std::string WhyUnhealthy() override { return unhealthy_; }
  std::vector<std::string> FaultyFiles() override { return faulty_files_; }
  void NoteFrontDoor(int64_t version) override { front_door_ = version; }

  bool draining_ = false;
  int drain_calls_ = 0;
  bool idle_ = true;
  int exits_ = 0;
  bool ledger_answers_ = true;
  std::string unhealthy_;
  std::vector<std::string> faulty_files_;
  int64_t front_door_ = -1;  // nothing was told yet

  storage::FakeClock clock_;
  storage::FakeLedger ledger_{&clock_};
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

  // One turn, and those that follow at once.
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
    ASSERT_TRUE(ledger_.SetDraining(agent_.incarnation(), true, "operator").ok());
    internal::v1::DrainRequest request;
    request.set_exit(exit);
    ASSERT_TRUE(
        tree().Create(DrainPath(agent_.incarnation()), request.SerializeAsString(), CreateMode::kPersistent).ok());
    Turns();
  }
  void Undrain() {
    ASSERT_TRUE(ledger_.SetDraining(agent_.incarnation(), false, "operator").ok());
    ASSERT_TRUE(tree().Delete(DrainPath(agent_.incarnation()), kAnyVersion).ok());
    Turns();
  }
  // Empties the slice, with a waiting buyer of `wanted` units.
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

}  // namespace tranche::quota
