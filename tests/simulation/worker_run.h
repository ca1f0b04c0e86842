// One run of a worker's process, on a fiber: expires the holds whose time is over.
#pragma once

#include <functional>

#include "tests/simulation/process.h"
#include "tests/simulation/sim_ledger.h"

namespace tranche::simulation {

class WorkerRun {
 public:
  // `ended` is called once, when the process has ended and nothing of it runs any more.
  WorkerRun(World* world, ActorId actor, std::function<void()> ended)
      : process_(world, actor), ended_(std::move(ended)), ledger_(&process_) {}

  void Launch();

  Process& process() { return process_; }

 private:
  void Run();

  Process process_;
  const std::function<void()> ended_;
  SimLedger ledger_;
};

}  // namespace tranche::simulation
