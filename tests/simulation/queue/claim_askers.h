// Buyers whose claims were queued: each asks one node after the other what became of it, until it is decided, as the
// SDK does.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/simulation/aftersale.h"
#include "tests/simulation/cluster.h"
#include "tests/simulation/queue/claim_checker.h"
#include "tests/simulation/world.h"

namespace tranche::simulation {

class ClaimAskers {
 public:
  using Decided = std::function<void(ClaimTold)>;

  ClaimAskers(World* world, Cluster* cluster, Aftersale* aftersale)
      : world_(world), cluster_(cluster), aftersale_(aftersale) {}

  // A buyer was answered with this. `decided` is called once they were told what became of it; not if the run ends
  // first.
  void Begin(const quota::Queued& queued, std::vector<storage::Uuid> ids, Random random, Decided decided);

  // Claims whose buyers were not told yet.
  int64_t open() const { return open_; }

 private:
  struct Claim {
    std::string ticket;
    std::vector<storage::Uuid> ids;
    absl::Duration pause;
    Random random;
    Decided decided;
  };
  // One question. Held by whoever must answer it; if it is destroyed unanswered, it is lost.
  class Call;

  void AskLater(std::shared_ptr<Claim> claim);
  void Ask(std::shared_ptr<Claim> claim);
  void Answered(std::shared_ptr<Claim> claim, absl::Time asked_at,
                const absl::StatusOr<std::vector<storage::Reservation>>& rows);

  World* const world_;
  Cluster* const cluster_;
  Aftersale* const aftersale_;
  int64_t open_ = 0;
};

}  // namespace tranche::simulation
