// The buyers, each with a client that behaves like the SDK: it tries again at another node with the same reservation
// id, and says when an earlier try may have been committed. Some want one thing, some a cart.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/simulation/aftersale.h"
#include "tests/simulation/cluster.h"
#include "tests/simulation/queue/claim_askers.h"
#include "tests/simulation/world.h"

namespace tranche::simulation {

class Buyers {
 public:
  Buyers(World* world, Cluster* cluster, Aftersale* aftersale)
      : world_(world),
        cluster_(cluster),
        aftersale_(aftersale),
        askers_(world, cluster, aftersale),
        random_(world->demand_random.Fork()) {}

  // From now until Stop, buyers come. `everybody_new`: none has bought before, so that no limit per user slows the
  // sale.
  void Start(absl::Duration between_requests, bool everybody_new, bool all_to_one_node);
  void Stop() { coming_ = false; }

  // Unfinished tries.
  int64_t open_tries() const { return open_tries_; }
  // Claims that were queued, and whose buyers were not told yet what became of them.
  int64_t open_claims() const { return askers_.open(); }
  int64_t requests() const { return requests_; }

 private:
  // One buyer's wish, over all its tries.
  struct Purchase {
    std::vector<storage::ReservationClaim> lines;
    bool cart = false;  // otherwise one line
    int node = 0;
    int tries_left = 0;
    bool may_exist = false;
    bool accept_queued = false;
    Random random;  // its own, so that other buyers do not affect it
  };
  struct Outcome {
    std::vector<storage::Reservation> sold = {};
    std::optional<quota::Refused> refused = {};
    std::optional<quota::Queued> queued = {};
  };
  // One try. Held by whoever must answer it; if it is destroyed unanswered, it is lost.
  class Try;

  void Come(uint64_t generation);
  std::shared_ptr<Purchase> NewPurchase();
  storage::ReservationClaim NewMember(const std::string& user);
  storage::ReservationClaim NewLine(const storage::Sku& sku, const std::string& user);
  void AddLines(Purchase* purchase);
  int ChooseNode();
  void Send(std::shared_ptr<Purchase> purchase);
  void Arrive(std::shared_ptr<Purchase> purchase);
  // `outcome` is null when no answer came.
  void Ended(const std::shared_ptr<Purchase>& purchase, const Outcome* outcome);
  void TryAgain(std::shared_ptr<Purchase> purchase, absl::Duration pause);
  void AwaitDecision(const std::shared_ptr<Purchase>& purchase, const quota::Queued& queued);

  World* const world_;
  Cluster* const cluster_;
  Aftersale* const aftersale_;
  ClaimAskers askers_;
  Random random_;
  bool coming_ = false;
  uint64_t generation_ = 0;
  absl::Duration between_requests_;
  bool everybody_new_ = false;
  bool all_to_one_node_ = false;
  absl::Time started_at_;
  int64_t open_tries_ = 0;
  int64_t requests_ = 0;
  int64_t last_id_ = 0;
};

}  // namespace tranche::simulation
