// What buyers do with their reservations: they pay, cancel, ask for more time, pay late or twice, or forget it.
//
// Each has a client that behaves like the SDK: it repeats a call that failed or was not answered, at another node, with
// the same arguments. Some also repeat a call that was answered.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/time/time.h"
#include "tests/simulation/cluster.h"
#include "tests/simulation/world.h"

namespace tranche::simulation {

class Aftersale {
 public:
  Aftersale(World* world, Cluster* cluster) : world_(world), cluster_(cluster), random_(world->demand_random.Fork()) {}

  // A buyer was told that they have this.
  void Begin(const storage::Reservation& reservation);
  // From now on every buyer pays at once.
  void EverybodyPays() { everybody_pays_ = true; }
  bool everybody_pays() const { return everybody_pays_; }

  // Changes that are not finished.
  int64_t open() const { return open_; }

 private:
  // One change that a buyer wants, over all its tries.
  struct Errand {
    Change change;
    int tries_left = 0;
    bool repeated = false;  // after its answer
    Random random;          // its own, so that other changes do not affect it
  };
  // One try. Held by whoever must answer it; if it is destroyed unanswered, it is lost.
  class Call;

  void Decide(const storage::Reservation& reservation);
  void DecideMember(const storage::Reservation& reservation);
  void Plan(absl::Duration delay, Change change);
  void Send(std::shared_ptr<Errand> errand);
  void Answered(std::shared_ptr<Errand> errand);
  void TryAgain(std::shared_ptr<Errand> errand);

  World* const world_;
  Cluster* const cluster_;
  Random random_;
  bool everybody_pays_ = false;
  int64_t open_ = 0;
};

}  // namespace tranche::simulation
