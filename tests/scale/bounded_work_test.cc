// With very many nodes and SKUs, no single decision or pass may grow with them without bound.
#include <glog/logging.h>

#include <algorithm>
#include <memory>

#include "gtest/gtest.h"
#include "quota/balancer/allocation.h"
#include "quota/balancer/demand_board.h"
#include "quota/balancer/demand_plan.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/fake/fake_coordination.h"
#include "tests/scale/scale_cluster.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::testing {
namespace {

using quota::DemandByNode;
using storage::IncarnationId;
using storage::QuotaDelta;
using storage::QuotaSnapshot;

constexpr int kNodes = 1000;
// What the plans guarantee, also with few receivers.
constexpr int64_t kFewSlices = 70;

std::vector<IncarnationId> Nodes() {
  std::vector<IncarnationId> nodes;
  for (IncarnationId node = 1; node <= kNodes; ++node) nodes.push_back(node);
  return nodes;
}

// The pool is empty; the first `empty` nodes have nothing, the others `each`.
QuotaSnapshot Held(int64_t each, IncarnationId empty) {
  QuotaSnapshot quota{.sku_id = "tv", .quota_version = 1, .closed = false, .slices = {{}}};
  for (const IncarnationId node : Nodes()) {
    const int64_t units = node <= empty ? 0 : each;
    quota.slices.push_back({.holder = node, .allotted = units, .remaining = units, .version = 1});
  }
  return quota;
}

int64_t Sum(const std::vector<QuotaDelta>& deltas) {
  int64_t sum = 0;
  for (const QuotaDelta& delta : deltas) sum += delta.units;
  return sum;
}

int64_t UnitsFor(IncarnationId node, const std::vector<QuotaDelta>& deltas) {
  const auto found = std::find_if(deltas.begin(), deltas.end(), [&](const auto& d) { return d.holder == node; });
  return found == deltas.end() ? 0 : found->units;
}

TEST(BoundedWorkTest, ANewcomersShareComesFromFewOfManyDonors) {
  const auto deltas = quota::ShareWithNewcomers(Held(1000, /*empty=*/1), Nodes(), {1});
  EXPECT_EQ(UnitsFor(1, deltas), 999);
  EXPECT_EQ(Sum(deltas), 0);
  EXPECT_LE(static_cast<int64_t>(deltas.size()), kFewSlices);
}

TEST(BoundedWorkTest, ADryNodeIsRaisedFromFewOfManyDonors) {
  const auto deltas = quota::PlanForDemand(Held(100, /*empty=*/1), Nodes(), {{1, {.wanted = 1, .milli_rate = 5000}}});
  EXPECT_GE(UnitsFor(1, deltas), 1000);
  EXPECT_EQ(Sum(deltas), 0);
  EXPECT_LE(static_cast<int64_t>(deltas.size()), kFewSlices);
}

TEST(BoundedWorkTest, TheLastUnitsFindTheirBuyerHoweverManyHaveOneEach) {
  const auto deltas = quota::PlanForDemand(Held(1, /*empty=*/1), Nodes(), {{1, {.wanted = 200, .milli_rate = 1000}}});
  EXPECT_GE(UnitsFor(1, deltas), 200);
  EXPECT_EQ(Sum(deltas), 0);
}

class DeafObserver : public quota::CoordinationObserver {
 public:
  void OnChanged(const std::string&) override {}
  void OnConnected() override {}
  void OnDisconnected() override {}
  void OnSessionExpired() override {}
};

TEST(BoundedWorkTest, DemandThatCannotBeMetDoesNotHoldUpTheOthers) {
  quota::FakeZookeeper zookeeper;
  quota::FakeConnector connector(&zookeeper);
  DeafObserver observer;
  const std::unique_ptr<quota::Coordination> session = *connector.Connect(&observer);
  internal::v1::DemandReport report;
  for (const char* sku : {"a", "b", "c"}) {
    auto* demand = report.add_skus();
    demand->set_sku_id(sku);
    demand->set_wanted(1);
  }
  ASSERT_TRUE(session->Create(quota::DemandPath(1), report.SerializeAsString(), quota::CreateMode::kEphemeral).ok());
  const absl::Duration retry = absl::Milliseconds(250);
  quota::DemandBoard board(retry);
  ASSERT_TRUE(board.Read(*session, /*everything=*/true, {}).ok());
  // No demand can be met. There is time for one per look, and each becomes due again before the others had their turn.
  std::vector<std::string> looked_at;
  absl::Time now = absl::UnixEpoch();
  for (int look = 0; look < 6; ++look, now += retry) {
    const auto taken = board.TakeDue(now, 1);
    ASSERT_EQ(taken.size(), 1u);
    looked_at.push_back(taken.front());
  }
  EXPECT_EQ(looked_at, (std::vector<std::string>{"a", "b", "c", "a", "b", "c"}));
}

TEST(BoundedWorkTest, ManyNodesThatJoinOneAfterTheOtherDoNotHoldUpTheFirst) {
  FLAGS_minloglevel = google::GLOG_WARNING;
  constexpr int kSkus = 1000;
  ScaleCluster cluster(
      {.nodes = 3, .skus = kSkus, .active = kSkus, .presplit = kSkus, .units_per_node = 100, .askers = 0, .seed = 1});
  cluster.Build();
  ASSERT_TRUE(cluster.Run("split", absl::Minutes(1), [&] { return cluster.Settled(); }).reached);
  const int first = cluster.AddNode();
  const auto has_the_last = [&] {
    const auto slice = cluster.node(first).slices().Find(cluster.active_sku(kSkus - 1));
    return slice != nullptr && slice->counter().free() > 0;
  };
  const Phase joined = cluster.Run("nodes join", absl::Minutes(1), [&] {
    if (cluster.nodes() < 20) cluster.AddNode();
    return cluster.nodes() >= 20 || has_the_last();
  });
  EXPECT_TRUE(has_the_last()) << "after " << joined.rounds << " rounds, in each of which a node joined";
}

}  // namespace
}  // namespace tranche::testing
