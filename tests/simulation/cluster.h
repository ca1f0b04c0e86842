// All processes of one simulated run; each is restarted when it has ended.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/balancer_run.h"
#include "tests/simulation/front_node.h"
#include "tests/simulation/worker_run.h"
#include "tests/simulation/world.h"

namespace tranche::simulation {

// A process that faults can hit.
struct Target {
  Process* process = nullptr;
  const SimConnector* connector = nullptr;  // null: a worker, which has no session
  FrontNode* node = nullptr;                // null: a balancer or a worker
};

class Cluster {
 public:
  explicit Cluster(World* world);
  ~Cluster();

  void Launch();

  // Those that buyers come to are the first ones; the others are consumers.
  int nodes() const { return static_cast<int>(nodes_.size()); }
  int front_nodes() const { return world_->scenario.nodes; }
  // The node's current run; null while it is being restarted. Shared, so that a request in flight finds the run that it
  // was sent to.
  std::shared_ptr<FrontNode> node(int number) const { return nodes_[static_cast<size_t>(number)]; }
  // The live processes.
  std::vector<Target> Targets() const;
  // The target's process, if it is still alive.
  bool Lives(const Process* process) const;

 private:
  void LaunchNode(size_t number);
  void LaunchBalancer(size_t number);
  void LaunchWorker(size_t number);
  // Runs `launch` after a while, like a supervisor.
  void Again(std::function<void()> launch);

  World* const world_;
  std::vector<std::string> node_names_, balancer_names_;
  std::vector<ActorId> node_actors_, balancer_actors_, worker_actors_;
  std::vector<std::shared_ptr<FrontNode>> nodes_;
  std::vector<std::shared_ptr<BalancerRun>> balancers_;
  std::vector<std::shared_ptr<WorkerRun>> workers_;
};

}  // namespace tranche::simulation
