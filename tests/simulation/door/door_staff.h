// Those who run a sale at the front door: operators, who change what the ledger says, and the balancer that lets buyers
// into the waiting room.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "tests/simulation/door/door_cluster.h"
#include "tests/simulation/random.h"
#include "tests/simulation/scheduler.h"

namespace tranche::simulation {

class DoorOperators {
 public:
  // `subjects`: user ids and networks that may be put on the list.
  DoorOperators(DoorCluster* cluster, Random random, Scheduler* scheduler, std::vector<std::string> subjects)
      : cluster_(cluster), random_(random), scheduler_(scheduler), subjects_(std::move(subjects)) {}

  void Start();
  // Ends it, and the list is empty from then on.
  void Stop();

 private:
  void Change();
  void ChangeTerms();
  void ChangeList();

  DoorCluster* const cluster_;
  Random random_;
  Scheduler* const scheduler_;
  const std::vector<std::string> subjects_;
  bool stopped_ = false;
};

// Knows only how to make trouble: it dies, comes back with thresholds of before, tells the round before, and stops just
// at somebody's rank. What production paces by, is tested with its pacer.
class DoorBalancer {
 public:
  DoorBalancer(DoorCluster* cluster, Random random, Scheduler* scheduler)
      : cluster_(cluster), random_(random), scheduler_(scheduler) {}

  void Start();
  // Lets in everybody who comes within an hour, from now on.
  void LetAllIn();
  // Somebody waits with this rank in this round.
  void NoteWaiting(int64_t round, uint64_t rank);

 private:
  void Lead();
  void Advance();

  DoorCluster* const cluster_;
  Random random_;
  Scheduler* const scheduler_;
  int64_t round_ = 0;
  uint64_t threshold_ = 0;
  std::vector<uint64_t> told_;  // thresholds of this round
  std::set<uint64_t> waiting_;  // ranks of this round
  absl::Time dead_until_ = absl::InfinitePast();
  bool all_in_ = false;
};

}  // namespace tranche::simulation
