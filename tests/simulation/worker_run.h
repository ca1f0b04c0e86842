// One run of a worker's process, on fibers: expires the holds whose time is over, and ends groups.
#pragma once

#include <functional>

#include "server/worker/group_expirer.h"
#include "tests/simulation/process.h"
#include "tests/simulation/sim_ledger.h"

namespace tranche::simulation {

class WorkerRun {
 public:
  // `ended` is called once, when the process has ended and nothing of it runs any more.
  WorkerRun(World* world, ActorId actor, std::function<void()> ended);

  void Launch();

  Process& process() { return process_; }

 private:
  void Spawn(std::function<void()> body);
  void ExpireHolds();
  void EndGroups();

  Process process_;
  const std::function<void()> ended_;
  int fibers_ = 0;
  SimLedger ledger_;
  server::GroupExpirer group_expirer_;
};

}  // namespace tranche::simulation
