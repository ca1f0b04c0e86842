// One run of a balancer's process, on a fiber.
#pragma once

#include <functional>
#include <string>

#include "quota/balancer/balancer.h"
#include "tests/simulation/process.h"
#include "tests/simulation/sim_coordination.h"
#include "tests/simulation/sim_ledger.h"

namespace tranche::simulation {

class BalancerRun {
 public:
  // `ended` is called once, when the process has ended and nothing of it runs any more.
  BalancerRun(World* world, ActorId actor, const std::string& name, std::function<void()> ended)
      : process_(world, actor), name_(name), ended_(std::move(ended)), ledger_(&process_), connector_(&process_) {}

  void Launch();

  Process& process() { return process_; }
  const SimConnector& connector() const { return connector_; }

 private:
  void Run();

  Process process_;
  const std::string name_;
  const std::function<void()> ended_;
  SimLedger ledger_;
  SimConnector connector_;
};

}  // namespace tranche::simulation
