// Many nodes, many SKUs, one or two balancers: their real code over the fakes, on one thread and in virtual time. A
// balancer's round takes as long as its calls would on real servers (CostModel). The nodes are separate machines, so
// they take no time.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "quota/balancer/balancer.h"
#include "quota/fake/fake_coordination.h"
#include "storage/fake/fake_ledger.h"
#include "tests/scale/counting_coordination.h"
#include "tests/scale/counting_ledger.h"
#include "tests/scale/scale_node.h"
#include "tests/scale/traffic.h"

namespace tranche::testing {

struct ScaleOptions {
  int nodes = 1000;
  int skus = 100'000;
  int active = 1000;
  int presplit = 250;        // among the active ones; all others wait in the pool for demand
  int units_per_node = 100;  // stock of an active SKU, divided by the number of nodes
  int askers = 50;           // nodes with buyers of an active SKU
  uint64_t seed = 1;
};

// What happened until a goal was reached.
struct Phase {
  std::string name;
  bool reached = false;
  int rounds = 0;
  int64_t waiting = 0;  // buyers at the end
  absl::Duration simulated;
  absl::Duration wall;
  Traffic balancer;
  Traffic nodes;
  // The most in any single round.
  Traffic most;
  absl::Duration longest_estimate;
  // Time spent outside the fakes.
  absl::Duration balancer_cpu;
  absl::Duration longest_round_cpu;
};

class ScaleCluster {
 public:
  explicit ScaleCluster(const ScaleOptions& options);
  ~ScaleCluster();

  // Creates the SKUs and the nodes; none has been given anything yet.
  void Build();

  // Runs everything until `reached`, which is asked after every round, or for at most this long in virtual time.
  Phase Run(const std::string& name, absl::Duration at_most, absl::FunctionRef<bool()> reached);
  // The same for a fixed time.
  Phase RunFor(const std::string& name, absl::Duration duration);

  void Ask(int node, int sku, int32_t units);
  // Sells what the node has of the SKU, and asks for more.
  void RunDry(int node, int sku);
  // The number of waiting buyers.
  int64_t Waiting() const;
  // No presplit SKU has units in its pool, and the balancers and the nodes have heard everything.
  bool Settled();

  int AddNode();
  // Kills the node without warning. Returns its last incarnation.
  storage::IncarnationId KillNode(int node);
  // Adds a balancer that stands by.
  void AddBalancer();
  // Kills the leading balancer without warning.
  void KillLeader();

  int nodes() const { return static_cast<int>(nodes_.size()); }
  ScaleNode& node(int node) { return *nodes_.at(static_cast<size_t>(node)); }
  const std::string& active_sku(int sku) const { return active_.at(static_cast<size_t>(sku)); }
  storage::FakeLedger& ledger() { return ledger_; }
  quota::FakeConnector& connector() { return connector_; }
  quota::Balancer& leader() { return *balancers_.front(); }
  std::mt19937_64& random() { return random_; }
  const ScaleOptions& options() const { return options_; }

 private:
  void CreateSkus();
  void TurnNodes();
  absl::Time NextTurn() const;
  void RunBalancer(Phase* phase);

  const ScaleOptions options_;
  const CostModel costs_;
  std::mt19937_64 random_;
  storage::FakeClock clock_;
  storage::FakeLedger ledger_{&clock_};
  quota::FakeZookeeper zookeeper_{quota::FakeZookeeper::Delivery::kExplicit};
  quota::FakeConnector connector_{&zookeeper_};
  Traffic balancer_traffic_;
  Traffic node_traffic_;
  CountingConnector balancer_connector_{&connector_, &balancer_traffic_};
  CountingConnector node_connector_{&connector_, &node_traffic_};
  CountingLedger balancer_ledger_{&ledger_, &balancer_traffic_};
  CountingLedger node_ledger_{&ledger_, &node_traffic_};
  std::vector<std::string> active_;
  std::vector<std::unique_ptr<ScaleNode>> nodes_;  // null: dead
  std::vector<std::unique_ptr<quota::Balancer>> balancers_;
  absl::Time next_poll_ = absl::InfinitePast();
};

}  // namespace tranche::testing
