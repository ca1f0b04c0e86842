// Injects the faults that hit more than a single call: at random moments, and ends each of them again.
#pragma once

#include "tests/simulation/cluster.h"
#include "tests/simulation/world.h"

namespace tranche::simulation {

class FaultInjector {
 public:
  FaultInjector(World* world, Cluster* cluster) : world_(world), cluster_(cluster) {}

  // The body of a fiber, until the world is no longer faulty.
  void Run();
  // Ends all faults that are still active.
  void Heal();

 private:
  void Inject(Fault fault);
  void InjectIntoBroker(Fault fault, absl::Duration duration);
  void InjectIntoProcess(Fault fault, const Target& target);
  void InjectIntoSession(Fault fault, int64_t session);
  void SetZookeeperDown(bool down);
  // Takes a backup now and returns to it later.
  void LoseHistory(Fault fault);
  void ExpectRecovery();
  void MeddleWith(quota::Coordination& tree, Fault fault);
  void ExpireAfterTimeout(int64_t session);
  void Later(absl::Duration delay, absl::AnyInvocable<void()> repair);

  World* const world_;
  Cluster* const cluster_;
};

}  // namespace tranche::simulation
