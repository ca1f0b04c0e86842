// Nodes with real front doors and home's ledger; what they hear of each other's changes, late or not at all.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "quota/sale/sale_gate.h"
#include "server/admission/front_door.h"
#include "server/admission/turn_queue.h"
#include "server/node/door_watch.h"
#include "storage/ledger/incarnation_id.h"
#include "tests/simulation/door/door_books.h"
#include "tests/simulation/door/door_checker.h"
#include "tests/simulation/door/door_ledger.h"
#include "tests/simulation/door/door_plan.h"
#include "tests/simulation/random.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/trace.h"

namespace tranche::simulation {

class DoorCluster {
 public:
  DoorCluster(const DoorPlan& plan, Random random, Scheduler* scheduler, Trace* trace, DoorChecker* checker);

  // The policies are stored, and the nodes read them and begin to look for changes.
  void Start();
  // From now on all nodes hear everything within seconds.
  void Heal();

  // A buyer's calls; the checker hears the answers. Scorer and provider are asked where the door needs them.
  quota::GateVerdict Claim(int node, const DoorTry& asks);
  server::DoorEntry Enter(int node, DoorTry asks);
  // The room's balancer tells all nodes, and each may hear it late or not at all.
  void Tell(int64_t round, uint64_t threshold);

  int nodes() const { return static_cast<int>(nodes_.size()); }
  DoorLedger& home() { return home_; }
  const DoorPlan& plan() const { return plan_; }

 private:
  struct Node {
    Node(storage::IncarnationId self, DoorCluster* cluster);

    server::TurnQueue turns;
    server::FrontDoor door;
    server::DoorWatch watch;
    absl::Time cut_off_until = absl::InfinitePast();
  };

  // Leaves in `asks` only what the node heard.
  void AskOutside(const Node& node, absl::Time now, DoorTry* asks, server::DoorVisit* visit);
  bool IsCutOff(int node) const;
  // Looks at the ledger now and then.
  void KeepLooking(int node);
  void Look(int node);
  void Hear(int node, int64_t round, uint64_t threshold);

  const DoorPlan& plan_;
  Random random_;
  Scheduler* const scheduler_;
  Trace* const trace_;
  DoorChecker* const checker_;
  DoorLedger home_;
  std::vector<ActorId> actors_;
  std::vector<std::unique_ptr<Node>> nodes_;
  bool healed_ = false;
};

}  // namespace tranche::simulation
