// Operators, who change quota and stock while the sale runs, with the code of the admin calls: first the ledger, then
// the announcements, and sometimes a crash in between.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "quota/coordination/announcer.h"
#include "quota/coordination/quota_mover.h"
#include "tests/simulation/cluster.h"
#include "tests/simulation/process.h"
#include "tests/simulation/sim_coordination.h"
#include "tests/simulation/sim_ledger.h"
#include "tests/simulation/world.h"

namespace tranche::simulation {

class Operators {
 public:
  Operators(World* world, Cluster* cluster)
      : world_(world),
        cluster_(cluster),
        actor_(world->trace.AddActor("operator")),
        random_(world->demand_random.Fork()) {}

  // The body of a fiber: creates the first SKUs, then operates until the world is no longer faulty; from then on it
  // makes sure that every node serves.
  void Run();

  // All quotas except a few are thawed, no sale is paused and no node is drained.
  bool settled() const { return settled_; }

 private:
  class Console;

  void CreateSkus(bool late);
  void CreateSku(const storage::Sku& sku);
  void Operate(Console& console);
  std::vector<storage::QuotaDelta> Rebalance(const storage::QuotaSnapshot& quota,
                                             const std::vector<storage::IncarnationId>& live);
  void ChangeStock(Console& console, const std::string& sku_id);
  void Drain(Console& console);
  // Until all are there.
  void CreateOffers(const std::string& sku_id);
  // Closes offers, and cancels groups.
  void ChangeGroups(Console& console);
  void PauseOrResume(Console& console, const std::string& sku_id);
  void ChangePrice(Console& console, const std::string& sku_id);
  void ChangePath(Console& console, const std::string& sku_id);
  void LetConsumersRest(Console& console);
  void Settle();
  bool SettleOnce();

  World* const world_;
  Cluster* const cluster_;
  const ActorId actor_;
  Random random_;
  std::set<std::string> frozen_;
  std::set<std::string> paused_;
  bool settled_ = false;
};

}  // namespace tranche::simulation
