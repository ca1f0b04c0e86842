// Injects the faults that befall more than a single call: at random moments, with an end to each.
#pragma once

#include "tests/simulation/cluster.h"
#include "tests/simulation/world.h"

namespace tranche::simulation {

class FaultInjector {
 public:
  FaultInjector(World* world, Cluster* cluster) : world_(world), cluster_(cluster) {}

  // The body of a fiber, until the world is no longer faulty.
  void Run();
  // Ends whatever is still broken.
  void Heal();

 private:
  void Inject(Fault fault);
  void InjectIntoProcess(Fault fault, const Target& target);
  void InjectIntoSession(Fault fault, int64_t session);
  void SetZookeeperDown(bool down);
  void ExpireAfterTimeout(int64_t session);
  void Later(absl::Duration delay, absl::AnyInvocable<void()> repair);

  World* const world_;
  Cluster* const cluster_;
};

}  // namespace tranche::simulation
