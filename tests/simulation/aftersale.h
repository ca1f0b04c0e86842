// What buyers do about what they have bought: they pay, cancel, ask for more time, pay late or twice, or forget it.
//
// Each has a client as the SDK is: it repeats a call that failed or was not answered, elsewhere, with the same
// arguments. Some repeat one that was answered, too.
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

  // A buyer was told that he has this.
  void Begin(const storage::Reservation& reservation);
  // From now on who buys pays at once.
  void EverybodyPays() { everybody_pays_ = true; }

  // Errands that are not done.
  int64_t open() const { return open_; }

 private:
  // One change that a buyer wants, over all its tries.
  struct Errand {
    Change change;
    int tries_left = 0;
    bool repeated = false;  // after its answer
    Random random;          // its own: what others do changes nothing for it
  };
  // One try. Whoever has to answer holds it; destroyed unanswered, it is lost.
  class Call;

  void Decide(const storage::Reservation& reservation);
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
