#include "tests/simulation/cluster.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tranche::simulation {
namespace {

constexpr absl::Duration kShortestRestart = absl::Milliseconds(100);
constexpr absl::Duration kLongestRestart = absl::Seconds(3);

}  // namespace

Cluster::Cluster(World* world)
    : world_(world),
      nodes_(static_cast<size_t>(world->scenario.nodes + world->scenario.consumers)),
      balancers_(static_cast<size_t>(world->scenario.balancers)),
      workers_(static_cast<size_t>(world->scenario.workers)) {
  for (int i = 0; i < world->scenario.nodes; ++i) node_names_.push_back(absl::StrCat("node-", i));
  for (int i = 0; i < world->scenario.consumers; ++i) node_names_.push_back(absl::StrCat("consumer-", i));
  for (size_t i = 0; i < balancers_.size(); ++i) balancer_names_.push_back(absl::StrCat("balancer-", i));
  for (const std::string& name : node_names_) node_actors_.push_back(world->trace.AddActor(name));
  for (const std::string& name : balancer_names_) balancer_actors_.push_back(world->trace.AddActor(name));
  for (size_t i = 0; i < workers_.size(); ++i)
    worker_actors_.push_back(world->trace.AddActor(absl::StrCat("worker-", i)));
}

Cluster::~Cluster() = default;

void Cluster::Launch() {
  for (size_t i = 0; i < nodes_.size(); ++i) LaunchNode(i);
  for (size_t i = 0; i < balancers_.size(); ++i) LaunchBalancer(i);
  for (size_t i = 0; i < workers_.size(); ++i) LaunchWorker(i);
}

void Cluster::LaunchNode(size_t number) {
  const bool front = number < static_cast<size_t>(front_nodes());
  const FrontNode::Role role = front ? FrontNode::Role::kFront : FrontNode::Role::kConsumer;
  nodes_[number] = std::make_shared<FrontNode>(world_, node_actors_[number], node_names_[number], role, [this, number] {
    Again([this, number] {
      nodes_[number].reset();
      Again([this, number] { LaunchNode(number); });
    });
  });
  nodes_[number]->Launch();
}

void Cluster::LaunchBalancer(size_t number) {
  balancers_[number] =
      std::make_shared<BalancerRun>(world_, balancer_actors_[number], balancer_names_[number],
                                    [this, number] { Again([this, number] { LaunchBalancer(number); }); });
  balancers_[number]->Launch();
}

void Cluster::LaunchWorker(size_t number) {
  workers_[number] = std::make_shared<WorkerRun>(world_, worker_actors_[number],
                                                 [this, number] { Again([this, number] { LaunchWorker(number); }); });
  workers_[number]->Launch();
}

void Cluster::Again(std::function<void()> launch) {
  if (world_->scheduler.stopping()) return;
  world_->scheduler.After(world_->fault_random.Between(kShortestRestart, kLongestRestart), std::move(launch));
}

std::vector<Target> Cluster::Targets() const {
  std::vector<Target> targets;
  for (const auto& node : nodes_) {
    if (node != nullptr && !node->process().crashed()) {
      targets.push_back({&node->process(), &node->connector(), node.get()});
    }
  }
  for (const auto& balancer : balancers_) {
    if (!balancer->process().crashed()) targets.push_back({&balancer->process(), &balancer->connector(), nullptr});
  }
  for (const auto& worker : workers_) {
    if (!worker->process().crashed()) targets.push_back({&worker->process(), nullptr, nullptr});
  }
  return targets;
}

bool Cluster::Lives(const Process* process) const {
  const std::vector<Target> targets = Targets();
  return std::any_of(targets.begin(), targets.end(), [process](const Target& t) { return t.process == process; });
}

}  // namespace tranche::simulation
