// How the balancer goes about its work.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "quota/balancer/demand_plan.h"
#include "storage/ledger/shard_name.h"

namespace tranche::quota {

struct BalancerOptions {
  std::string name = "balancer";  // written into the leader's znode, for operators
  // The shard whose SKUs it balances; each has a leader of its own. What concerns no SKU (requests to drain, what ended
  // incarnations left in the tree) is home's.
  std::string shard = storage::kHomeShard;
  absl::Duration poll_interval = absl::Milliseconds(100);  // what no event tells: units that come into a pool
  // Everything that events tell is read again this often, since events can be lost.
  absl::Duration refresh_interval = absl::Seconds(1);
  absl::Duration repair_interval = absl::Seconds(10);     // between comparisons of ledger and announcements
  absl::Duration demand_retry = absl::Milliseconds(250);  // of a demand that could not be met
  // An incarnation that never registered in ZooKeeper (it died while starting) is reclaimed after this long.
  absl::Duration unregistered_grace = absl::Seconds(30);
  // When the tree was deleted, nodes have this long to register again before the missing are taken for dead. They read
  // everything every two seconds.
  absl::Duration restore_grace = absl::Seconds(5);
  // A node that cannot reach the ledger while we can loses its units after this long.
  absl::Duration cannot_commit_grace = absl::Seconds(2);
  // A leader that cannot reach the ledger for so long gives up leadership: another may reach it.
  absl::Duration resign_after = absl::Seconds(3);
  DemandPlanOptions demand;
};

}  // namespace tranche::quota
