// What a leader does, step by step: each reads the current state, does a bounded piece of its work and is safe to
// repeat.
#pragma once

#include <set>

#include "absl/status/status.h"
#include "quota/balancer/balancer_counts.h"
#include "quota/balancer/balancer_options.h"
#include "quota/balancer/demand_board.h"
#include "quota/balancer/inbox.h"
#include "quota/balancer/round/demand_step.h"
#include "quota/balancer/round/evacuation_step.h"
#include "quota/balancer/round/history_step.h"
#include "quota/balancer/round/known_nodes.h"
#include "quota/balancer/round/newcomer_step.h"
#include "quota/balancer/round/pool_step.h"
#include "quota/balancer/round/process_watch.h"
#include "quota/balancer/round/reclaim_step.h"
#include "quota/balancer/round/repair_schedule.h"
#include "quota/balancer/round/returned_step.h"
#include "quota/balancer/round/round_context.h"
#include "quota/balancer/round/round_mover.h"
#include "quota/balancer/round/sale_watch.h"
#include "quota/coordination/announcer.h"
#include "quota/coordination/coordination.h"
#include "storage/clock.h"
#include "storage/ledger/stock_ledger.h"

namespace tranche::quota {

// Used by one thread.
class LeaderRound {
 public:
  // Dependencies outlive it. A step that has more to do asks for another round at once through the inbox.
  LeaderRound(storage::StockLedger* ledger, storage::Clock* clock, const BalancerOptions* options,
              SessionSource* sessions, Inbox* inbox, BalancerCounts* counts);
  LeaderRound(const LeaderRound&) = delete;
  LeaderRound& operator=(const LeaderRound&) = delete;

  // Forgets what only holds while we lead without interruption.
  void ForgetAll();
  // Somebody deleted the coordination tree: until the nodes have had time to register again, none is treated as dead.
  void TreeHasGone();
  // We do not reach the ledger, so a node that does not reach it either is not unable.
  void NobodyIsUnableAlone() { evacuation_.NobodyIsUnableAlone(); }

  // We do not lead any more: closes what watches the nodes' processes. Can be called at any time.
  void StopProbing() { processes_.Stop(); }

  // Reads which nodes exist and what they want: all nodes, or those in `reports`. kNotFound: the tree has gone.
  absl::Status LookAround(Coordination& session);
  absl::Status ReadDemand(Coordination& session, bool everything, const std::set<storage::IncarnationId>& reports);

  // One round. Returns the first error; what failed is tried again in the next round. After one of
  // IsAnotherLedgersTree, no more was done.
  absl::Status Run(Coordination& session);

 private:
  std::set<storage::IncarnationId> NodesThatReceiveNothing() const;
  void AnnounceToNewNodes();
  // Has an operator frozen the cluster? If the ledger does not say, as it last was; before it has said so since we
  // began to lead, yes.
  void RunSteps(Coordination& session, absl::Status* status);
  absl::Status ReadFreeze();
  void TellOfNewNode(storage::IncarnationId id) const;
  void NoteNodes();

  Announcer announcer_;
  Announcer repair_announcer_;  // counts by itself
  KnownNodes nodes_;
  SaleWatch sales_;
  RepairSchedule repair_;
  RoundMover mover_;
  DemandBoard board_;
  const RoundContext context_;

  ProcessWatch processes_;
  HistoryStep history_;
  NewcomerStep newcomers_;
  ReclaimStep reclaim_;
  EvacuationStep evacuation_;
  DemandStep demand_;
  PoolStep pools_;
  ReturnedStep returned_;
  bool was_frozen_ = false;  // when the ledger last said
};

}  // namespace tranche::quota
