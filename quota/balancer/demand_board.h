// All nodes' demand reports, as the balancer last read them, by SKU.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "quota/balancer/demand_plan.h"
#include "quota/coordination/coordination.h"
#include "storage/ledger/incarnation_id.h"
#include "storage/ledger/shard_name.h"

namespace tranche::quota {

// Used by one thread.
class DemandBoard {
 public:
  // A SKU whose demand could not be met is looked at again after `retry_interval`, even if no node reports anything
  // new. `shard` is the one that nodes must reach to receive.
  explicit DemandBoard(absl::Duration retry_interval, std::string shard = storage::kHomeShard)
      : retry_interval_(retry_interval), shard_(std::move(shard)) {}

  // Reads the reports of `changed` and of incarnations that came or went; with `everything`, all of them. Leaves
  // watches.
  absl::Status Read(Coordination& session, bool everything, const std::set<storage::IncarnationId>& changed);

  // SKUs to look at now, at most `limit`: those with new reports, and those whose retry is due.
  std::vector<std::string> TakeDue(absl::Time now, size_t limit);
  bool HasDue() const { return !due_.empty(); }
  // Each node's report about the SKU.
  DemandByNode DemandOf(const std::string& sku_id) const;
  // Is some node out of units of it?
  bool Wanted(const std::string& sku_id) const;
  // Incarnations that report that they do not reach the ledger.
  std::set<storage::IncarnationId> CannotCommit() const;

  void Clear();

 private:
  struct Report {
    std::string data;  // as read
    bool cannot_commit = false;
    std::vector<std::string> skus;
  };
  struct SkuDemand {
    DemandByNode by_node;
    int wanting = 0;  // nodes that want some; kept as a count, since a thousand nodes may report the SKU
  };

  void Forget(storage::IncarnationId incarnation);
  void Learn(storage::IncarnationId incarnation, const std::string& data);

  const absl::Duration retry_interval_;
  const std::string shard_;
  std::map<storage::IncarnationId, Report> reports_;
  absl::flat_hash_map<std::string, SkuDemand> by_sku_;
  std::set<std::string> due_;
  // SKUs that some node wants, with the time of the last look.
  absl::flat_hash_map<std::string, absl::Time> looked_at_;
};

}  // namespace tranche::quota
