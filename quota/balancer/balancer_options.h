// How the balancer does its work.
#pragma once

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "quota/balancer/demand_plan.h"
#include "quota/balancer/node_probe.h"
#include "storage/ledger/shard_name.h"
#include "storage/shards/older_copies.h"

namespace tranche::quota {

struct BalancerOptions {
  std::string name = "balancer";  // written into the leader's znode, for operators
  // The shard whose SKUs it balances; each has a leader of its own. Work that concerns no SKU (requests to drain,
  // remains of ended incarnations in the tree) is done by home's.
  std::string shard = storage::kHomeShard;
  // The ledger_id of home's database, for balancers of other shards: they stay away from the tree of another home. ""
  // at home, which asks its ledger.
  std::string home_id;
  absl::Duration poll_interval = absl::Milliseconds(100);  // for what no event announces: units that come into a pool
  // Everything that events announce is read again this often, since events can be lost.
  absl::Duration refresh_interval = absl::Seconds(1);
  absl::Duration repair_interval = absl::Seconds(10);     // between comparisons of ledger and announcements
  absl::Duration demand_retry = absl::Milliseconds(250);  // for a demand that could not be met
  // An incarnation that never registered in ZooKeeper (it died while starting) is reclaimed after this long.
  absl::Duration unregistered_grace = absl::Seconds(30);
  // If the tree was deleted, nodes have this long to register again before the missing ones are treated as dead. Nodes
  // read everything every two seconds.
  absl::Duration restore_grace = absl::Seconds(5);
  // A node that cannot reach the ledger, while we can, loses its units after this long.
  absl::Duration cannot_commit_grace = absl::Seconds(2);
  // A leader that cannot reach the ledger for this long gives up leadership: another may reach it.
  absl::Duration resign_after = absl::Seconds(3);
  DemandPlanOptions demand;
  // Whose copy of a SKU counts; null if there is no other shard. Each balancer has its own.
  std::shared_ptr<storage::CopyCheck> copies = nullptr;
  // Sees when a node's process has ended; null: only the end of its session tells. For home's balancers, each its own:
  // only home ends incarnations for good, and the other shards follow when the registration goes. If each shard judged
  // by itself, a wrong guess would end an incarnation at one of them, and its node would not hear of it.
  std::shared_ptr<NodeProbe> probe = nullptr;
};

}  // namespace tranche::quota
