// Who comes to the front door. Honest buyers do as they are told, and some go away. Bots spray tries over all nodes,
// invent what they do not have, and show what was given to somebody else, for something else, or long ago.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "quota/sale/sale_gate.h"
#include "server/admission/front_door.h"
#include "tests/simulation/door/door_books.h"
#include "tests/simulation/door/door_checker.h"
#include "tests/simulation/door/door_cluster.h"
#include "tests/simulation/door/door_staff.h"
#include "tests/simulation/random.h"
#include "tests/simulation/scheduler.h"

namespace tranche::simulation {

class DoorCrowd {
 public:
  DoorCrowd(DoorCluster* cluster, DoorBalancer* balancer, DoorChecker* checker, Random random, Scheduler* scheduler);

  // Until Stop, buyers and bots come.
  void Start();
  void Stop() { stopped_ = true; }
  // Honest buyers come whom nothing stops but the policies' limits.
  void SendLastBuyers();
  // Those of them who have not bought yet.
  int64_t still_waiting() const { return still_waiting_; }

  // All whom an operator may put on the list: some users of both kinds, and their networks.
  static std::vector<std::string> KnownSubjects();
  int64_t visits() const { return visits_; }
  int64_t bought() const { return bought_; }

 private:
  struct Buyer {
    DoorTry asks;
    int tries_left = 0;
    bool last = false;  // does not go away
  };

  int AnyNode() { return static_cast<int>(random_.Below(cluster_->nodes())); }
  void Act();
  void SendBuyer(DoorTry asks, bool last);
  void Come(std::shared_ptr<Buyer> buyer);
  // How long until the buyer comes again; InfiniteDuration: no more.
  absl::Duration TryToBuy(Buyer& buyer);
  absl::Duration TryToEnter(Buyer& buyer);
  quota::GateVerdict Claim(int node, const DoorTry& asks);
  server::DoorEntry Enter(int node, DoorTry asks);
  // "" once as many were solved as a run may: this work takes real time. The last buyers' always are.
  std::string Solve(const std::string& challenge, bool last);

  void Spray();
  void Invent();
  void Replay();
  void ReplayOne(const DoorPapers& papers, std::string DoorTry::*place, bool claims);
  DoorTry AnyBot();

  DoorCluster* const cluster_;
  DoorBalancer* const balancer_;
  DoorChecker* const checker_;
  Random random_;
  Scheduler* const scheduler_;
  const absl::Time room_opens_at_;
  bool stopped_ = false;
  int solutions_left_ = 5;
  int64_t still_waiting_ = 0;
  int64_t visits_ = 0;
  int64_t bought_ = 0;
};

}  // namespace tranche::simulation
