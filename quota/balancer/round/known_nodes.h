// The nodes as a leader last saw them: live by the ledger, registered in ZooKeeper, and so able to receive units.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "quota/balancer/node_probe.h"
#include "quota/coordination/coordination.h"
#include "quota/coordination/live_nodes.h"
#include "storage/ledger/stock_ledger.h"

namespace tranche::quota {

// Used by one thread.
class KnownNodes {
 public:
  // `at_home`: of the home shard.
  KnownNodes(storage::StockLedger* ledger, bool at_home) : ledger_(ledger), at_home_(at_home) {}

  // Reads which nodes exist. Leaves watches. `unable` receive nothing.
  absl::Status LookAround(Coordination& session, const std::set<storage::IncarnationId>& unable);
  // Forgets what only holds while we lead without interruption.
  void Forget();
  // The registrations went with the tree: whichever node registers again is new.
  void ForgetRegistrations() { registered_.clear(); }
  // Forgets those that were registered and have ended.
  void ForgetEnded();

  // Live, and neither draining nor unable; ascending.
  const std::vector<storage::IncarnationId>& receivers() const { return receivers_; }
  // Those of them that get a share before anybody asks, and those that get units by demand only: the consumers of
  // queues.
  const std::vector<storage::IncarnationId>& sharers() const { return sharers_; }
  const std::vector<storage::IncarnationId>& consumers() const { return consumers_; }
  // Live by the ledger.
  const std::map<storage::IncarnationId, storage::Incarnation>& live() const { return live_; }
  // Registered in ZooKeeper.
  const std::set<storage::IncarnationId>& registered() const { return registered_; }
  // At some time since we began to lead.
  bool WasRegistered(storage::IncarnationId id) const { return seen_registered_.contains(id); }
  // Live, and registered at some time since we began to lead: also while the tree has gone. With the addresses that the
  // ledger has, which nobody can write over.
  std::vector<ProbedNode> ToProbe() const;

  // Nodes that registered since the first look around and were not taken yet.
  bool HasNew() const { return !new_.empty(); }
  storage::IncarnationId TakeNew() { return new_.extract(new_.begin()).value(); }  // requires HasNew

  // Changes that are known before the next look around.
  void NoteEnded(storage::IncarnationId id) {
    live_.erase(id);
    NoteUnable(id);
  }
  void NoteUnable(storage::IncarnationId id) {
    for (auto* nodes : {&receivers_, &sharers_, &consumers_}) std::erase(*nodes, id);
  }

 private:
  void Meet(const std::vector<LiveNode>& nodes);

  storage::StockLedger* const ledger_;
  const bool at_home_;
  std::vector<storage::IncarnationId> receivers_;
  std::vector<storage::IncarnationId> sharers_;
  std::vector<storage::IncarnationId> consumers_;
  std::map<storage::IncarnationId, storage::Incarnation> live_;
  std::set<storage::IncarnationId> registered_;
  std::set<storage::IncarnationId> seen_registered_;
  std::set<storage::IncarnationId> new_;
  bool looked_around_ = false;  // since we began to lead
};

}  // namespace tranche::quota
