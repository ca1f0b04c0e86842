// What all actors of one simulated run share: time, randomness, the servers, the trace, the checker.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "glog/logging.h"
#include "quota/coordination/coordination.h"
#include "quota/fake/fake_coordination.h"
#include "storage/fake/fake_ledger.h"
#include "storage/fake/fake_outbox.h"
#include "tests/simulation/checker.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/groups/group_checker.h"
#include "tests/simulation/life_checker.h"
#include "tests/simulation/queue/claim_checker.h"
#include "tests/simulation/queue/sim_broker.h"
#include "tests/simulation/random.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/trace.h"

namespace tranche::simulation {

class Process;

// A session whose process died. Its observer is destroyed after it.
struct Orphan {
  std::shared_ptr<void> observer;
  std::unique_ptr<quota::Coordination> session;
};

struct World {
  World(const Scenario& chosen, Random random, bool print_trace)
      : scenario(chosen),
        trace(print_trace),
        scheduler(random.Fork()),
        outbox(&scheduler),
        ledger(&scheduler, &outbox),
        checker(&ledger, &scheduler, &trace),
        groups(&checker, &ledger, &scheduler, &trace),
        life(&checker, &groups, &ledger, &outbox, &scheduler, &trace),
        claims(chosen.consumers > 0, &checker, &ledger),
        call_random(random.Fork()),
        demand_random(random.Fork()),
        fault_random(random.Fork()),
        broker(scenario, &scheduler, random.Fork()) {
    if (scenario.second_sink) CHECK(outbox.AddSink("second", "simulation").ok());
    life.SetSinks(*outbox.ListSinks());
  }

  void Count(Fault fault) { ++fault_counts[static_cast<size_t>(fault)]; }

  const Scenario scenario;
  Trace trace;
  Scheduler scheduler;
  storage::FakeOutbox outbox;
  storage::FakeLedger ledger;
  quota::FakeZookeeper zookeeper;
  Checker checker;
  GroupChecker groups;
  LifeChecker life;
  ClaimChecker claims;

  Random call_random;  // for delays and faults of single calls
  Random demand_random;
  Random fault_random;

  SimBroker broker;

  // Whether faults are injected. Not in the second phase, in which every unit must find its buyer.
  bool faulty = true;
  bool ledger_down = false;
  // Grows when the ledger is replaced by an older state of itself: connections from before are dead.
  int ledger_epoch = 0;
  bool zookeeper_down = false;
  std::string locked_sku;  // a stranger's transaction has locked its slots; "" for none
  // The process that listens at each node's address, if one does.
  std::map<std::string, const Process*> listening;
  // Of these nodes, balancers' probes say that they are dead, whatever is true.
  std::set<storage::IncarnationId> said_to_be_dead;
  FaultCounts fault_counts{};
  // The server notices when their time is out.
  std::vector<Orphan> orphans;
};

}  // namespace tranche::simulation
