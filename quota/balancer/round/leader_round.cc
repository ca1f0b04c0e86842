#include "quota/balancer/round/leader_round.h"

#include "absl/functional/function_ref.h"
#include "glog/logging.h"
#include "quota/coordination/ledger_mark.h"
#include "storage/base/log_event.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"
#include "storage/ledger/shard_name.h"

namespace tranche::quota {
namespace {

// The number of nodes per round that are told what they hold.
constexpr int kNodesToldPerRound = 32;

}  // namespace

LeaderRound::LeaderRound(storage::StockLedger* ledger, storage::Clock* clock, const BalancerOptions* options,
                         SessionSource* sessions, Inbox* inbox, BalancerCounts* counts)
    : announcer_(sessions),
      repair_announcer_(sessions, OtherShards::kKept, &counts->announcements_repaired),
      nodes_(ledger, options->shard == storage::kHomeShard),
      sales_(clock),
      repair_(ledger, &repair_announcer_, clock, options, &sales_),
      mover_(ledger, &announcer_, clock, &nodes_, &repair_, &sales_, counts),
      board_(options->demand_retry, options->shard),
      context_{*ledger, *clock, *options, *inbox, announcer_, nodes_, repair_, mover_, board_, *counts},
      processes_(&context_),
      history_(&context_),
      newcomers_(&context_),
      reclaim_(&context_),
      evacuation_(&context_, &newcomers_),
      demand_(&context_),
      pools_(&context_),
      returned_(&context_) {}

void LeaderRound::ForgetAll() {
  nodes_.Forget();
  history_.Forget();
  newcomers_.Forget();
  reclaim_.Forget();
  evacuation_.Forget();
  board_.Clear();
  pools_.Forget();
  returned_.Forget();
  sales_.Forget();
  // Somebody may have frozen the cluster while others led.
  mover_.SetFrozen(true);
  repair_.Soon();
}

void LeaderRound::TreeHasGone() {
  reclaim_.SpareAllUntil(context_.clock.Now() + context_.options.restore_grace);
  nodes_.ForgetRegistrations();
  repair_.Soon();
}

absl::Status LeaderRound::LookAround(Coordination& session) {
  RETURN_IF_ERROR(nodes_.LookAround(session, NodesThatReceiveNothing()));
  processes_.Watch();
  return absl::OkStatus();
}

// One that was found dead may have to wait for its end, while a SKU of it is locked or frozen.
std::set<storage::IncarnationId> LeaderRound::NodesThatReceiveNothing() const {
  std::set<storage::IncarnationId> nothing = evacuation_.evacuated();
  nothing.merge(processes_.FoundDead());
  return nothing;
}

absl::Status LeaderRound::ReadDemand(Coordination& session, bool everything,
                                     const std::set<storage::IncarnationId>& reports) {
  return board_.Read(session, everything, reports);
}

absl::Status LeaderRound::Run(Coordination& session) {
  mover_.BeginRound();
  absl::Status status = history_.Run(session);
  if (history_.beginning() || IsAnotherLedgersTree(status)) return status;
  AnnounceToNewNodes();
  sales_.Tick();
  RunSteps(session, &status);
  NoteNodes();
  return status;
}

// Each step stands alone: a failing one is tried again in the next round and does not stop the others. But none begins
// while the ledger is away: each would find that out by a try to connect, and meanwhile nobody else could lead.
void LeaderRound::RunSteps(Coordination& session, absl::Status* status) {
  bool away = storage::LedgerIsAway(*status);
  const auto run = [&](absl::FunctionRef<absl::Status()> step) {
    if (away) return;
    const absl::Status done = step();
    away = storage::LedgerIsAway(done);
    status->Update(done);
  };
  const auto run_unless_frozen = [&](absl::FunctionRef<absl::Status()> step) {
    if (!mover_.frozen()) run(step);
  };
  run([&] { return ReadFreeze(); });
  run([&] { return newcomers_.TakeOver(); });
  run([&] { return reclaim_.Run(session); });
  run_unless_frozen([&] { return evacuation_.Run(); });
  run([&] { return demand_.Run(); });
  run_unless_frozen([&] { return pools_.Run(); });
  run([&] { return returned_.Run(); });
  run_unless_frozen([&] { return newcomers_.Run(); });
  run([&] { return repair_.Step(session); });
}

absl::Status LeaderRound::ReadFreeze() {
  ASSIGN_OR_RETURN(const storage::ClusterSettings settings, context_.ledger.ReadClusterSettings());
  if (settings.frozen != was_frozen_) {
    LOG(INFO) << (settings.frozen ? "frozen" : "thawed") << " by " << settings.changed_by
              << (settings.frozen ? ": no units are moved but those of dead nodes" : ": units are moved again");
  }
  was_frozen_ = settings.frozen;
  mover_.SetFrozen(settings.frozen);
  return absl::OkStatus();
}

void LeaderRound::NoteNodes() {
  BalancerCounts& counts = context_.counts;
  counts.nodes_live = static_cast<int64_t>(nodes_.live().size());
  counts.nodes_registered = static_cast<int64_t>(nodes_.registered().size());
  counts.nodes_receiving = static_cast<int64_t>(nodes_.receivers().size());
  counts.skus_put_aside = static_cast<int64_t>(mover_.PutAside());
}

// Once for all shards: home's leader knows every incarnation.
void LeaderRound::TellOfNewNode(storage::IncarnationId id) const {
  const auto node = nodes_.live().find(id);
  if (context_.options.shard != storage::kHomeShard || node == nodes_.live().end()) return;
  LogEvent("node.joined", {{"node", node->second.node_name}, {"incarnation", id}, {"address", node->second.address}});
}

// A node that registers soon hears what it holds: nothing, if it is new; all of its slices, if the tree was deleted.
void LeaderRound::AnnounceToNewNodes() {
  for (int told = 0; told < kNodesToldPerRound && nodes_.HasNew(); ++told) {
    const storage::IncarnationId id = nodes_.TakeNew();
    TellOfNewNode(id);
    repair_.AnnounceSlicesOf(id);
  }
  if (nodes_.HasNew()) context_.inbox.Again();
}

}  // namespace tranche::quota
