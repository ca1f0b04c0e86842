#include "quota/balancer/round/history_step.h"

#include <algorithm>
#include <set>
#include <string>

#include "glog/logging.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/incarnation_znodes.h"
#include "quota/coordination/ledger_mark.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"
#include "storage/mutation.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;
using storage::LedgerMark;

constexpr char kHistoryActor[] = "balancer";

// All incarnations that the tree mentions.
absl::StatusOr<std::set<IncarnationId>> Mentioned(Coordination& session) {
  std::set<IncarnationId> mentioned;
  for (const char* folder : {kNodesPath, kSlicesPath, kDemandPath, kDrainPath}) {
    ASSIGN_OR_RETURN(const auto names, session.List(folder, Watch::kNo));
    for (const std::string& name : names) mentioned.insert(ParseIncarnation(name));
  }
  mentioned.erase(storage::kPool);
  return mentioned;
}

}  // namespace

void HistoryStep::Forget() {
  looked_at_ = absl::InfinitePast();
  written_.reset();
  first_.reset();
}

absl::Status HistoryStep::Run(Coordination& session) {
  if (!beginning()) {
    const absl::Time now = context_.clock.Now();
    if (now - looked_at_ < context_.options.refresh_interval) return absl::OkStatus();
    RETURN_IF_ERROR(Look(session));
    looked_at_ = now;
  }
  return beginning() ? GoOn(session) : absl::OkStatus();
}

// What the tree remembers is read before the ledger is asked: so the ledger's mark is the later one, unless its history
// broke off in between.
absl::Status HistoryStep::Look(Coordination& session) {
  const auto znode = session.Get(LedgerMarkPath(context_.options.shard), Watch::kNo);
  if (!znode.ok() && !absl::IsNotFound(znode.status())) return znode.status();
  const std::optional<LedgerMark> earlier = znode.ok() ? ReadLedgerMark(znode->data) : written_;
  ASSIGN_OR_RETURN(const LedgerMark mark, context_.ledger.Mark(earlier));
  if (earlier.has_value()) {
    if (absl::Status same = RequireSameLedger(context_.options.shard, *earlier, mark); !same.ok()) {
      // The tree may have lost it. Whoever stands after us must see it, too.
      if (!znode.ok()) RETURN_IF_ERROR(Write(session, znode, *earlier));
      return same;
    }
  }
  const bool goes_on = !earlier.has_value() || GoesOn(*earlier, mark);
  if (goes_on || storage::Mutated(storage::Mutation::kHistoryAlwaysGoesOn)) return Write(session, znode, mark);
  LOG(WARNING) << "shard " << context_.options.shard << ": the ledger may be an older state of itself (line "
               << earlier->line << " at " << earlier->count << " before, " << mark.line << " at " << mark.count
               << " now), or an operator asks for this: all nodes begin anew from what it says";
  context_.repair.Soon();
  if (context_.options.shard == storage::kHomeShard) {
    // The tree may have lost it meanwhile. Whoever takes over from us in the middle must see it, too.
    RETURN_IF_ERROR(Note(session, *earlier));
    return BreakOff(session, mark);
  }
  // Only home can end incarnations for good. Their end is told to this shard, too.
  RETURN_IF_ERROR(RequestNewHistory(session));
  return Write(session, znode, mark);
}

absl::Status HistoryStep::BreakOff(Coordination& session, const LedgerMark& mark) {
  ASSIGN_OR_RETURN(const std::set<IncarnationId> mentioned, Mentioned(session));
  for (const IncarnationId incarnation : mentioned) {
    if (incarnation <= storage::kMostBelievedIncarnation) highest_ = std::max(highest_, incarnation);
  }
  ASSIGN_OR_RETURN(first_, context_.ledger.BeginHistory(highest_, storage::Actor::Process(kHistoryActor)));
  // If the ledger forgets this history, too, its numbers are in the world nevertheless.
  highest_ = *first_;
  line_ = mark.line;
  seen_.reset();
  return absl::OkStatus();
}

// The mark is written last: whoever takes over from us before that begins again.
absl::Status HistoryStep::GoOn(Coordination& session) {
  ASSIGN_OR_RETURN(const bool replaced, WasReplaced());
  if (replaced) {
    // It may not know of this new history, and incarnations that begin now may have low numbers again: they would be
    // ended for ever. The mark in the tree is still the old one: the next look begins again.
    first_.reset();
    looked_at_ = absl::InfinitePast();
    context_.inbox.Again();
    return absl::OkStatus();
  }
  bool done = false;
  RETURN_IF_ERROR(EndIncarnations(session, &done));
  if (!done) {
    context_.inbox.Again();
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(Note(session, *seen_));
  LOG(WARNING) << "a new history has begun with incarnation " << *first_;
  context_.counts.histories.Add();
  first_.reset();
  looked_at_ = context_.clock.Now();
  context_.repair.Soon();
  return absl::OkStatus();
}

// Has the ledger been replaced once more since it was told to begin this history?
absl::StatusOr<bool> HistoryStep::WasReplaced() {
  if (!seen_.has_value()) {
    // No ledger goes on from this mark, so ours only says where it stands.
    ASSIGN_OR_RETURN(const LedgerMark now, context_.ledger.Mark(LedgerMark{}));
    if (now.line != line_ || !BeganWith(now, *first_)) return true;
    seen_ = now;
  }
  ASSIGN_OR_RETURN(const LedgerMark mark, context_.ledger.Mark(seen_));
  if (!GoesOn(*seen_, mark)) return true;
  seen_ = mark;
  return false;
}

// As many as the round allows. `done` if there were none: one that was just registering is found by the next round.
absl::Status HistoryStep::EndIncarnations(Coordination& session, bool* done) {
  ASSIGN_OR_RETURN(const auto live, context_.ledger.ListLiveIncarnations());
  *done = true;
  for (const storage::Incarnation& incarnation : live) {
    if (incarnation.id >= *first_) continue;
    *done = false;
    if (context_.mover.Exhausted()) return absl::OkStatus();
    const auto skus = context_.ledger.ReclaimIncarnation(incarnation.id);
    // The others need not go on with lost counters because of it.
    if (storage::FoundLocked(skus.status())) continue;
    if (!skus.ok()) return skus.status();
    context_.nodes.NoteEnded(incarnation.id);
    context_.mover.CountChanged(skus->size() + 1);
    context_.counts.NoteReclaimed(Evidence::kHistory, skus->size(), /*units=*/0);
    RemoveIncarnationZnodes(session, incarnation.id);
  }
  if (!*done) return absl::OkStatus();
  // And those that this ledger does not know.
  ASSIGN_OR_RETURN(const std::set<IncarnationId> mentioned, Mentioned(session));
  for (const IncarnationId incarnation : mentioned) {
    if (incarnation < *first_) RemoveIncarnationZnodes(session, incarnation);
  }
  return absl::OkStatus();
}

absl::Status HistoryStep::Note(Coordination& session, const LedgerMark& mark) {
  const auto znode = session.Get(LedgerMarkPath(context_.options.shard), Watch::kNo);
  if (!znode.ok() && !absl::IsNotFound(znode.status())) return znode.status();
  return Write(session, znode, mark);
}

absl::Status HistoryStep::Write(Coordination& session, const absl::StatusOr<Znode>& present, const LedgerMark& mark) {
  const std::string path = LedgerMarkPath(context_.options.shard);
  absl::Status written = present.ok() ? session.Set(path, ToZnodeData(mark), present->version)
                                      : session.Create(path, ToZnodeData(mark), CreateMode::kPersistent);
  // Its folder is missing: an earlier version made the tree, or somebody deleted it.
  if (absl::IsNotFound(written) && !present.ok()) written = session.EnsureFixedPaths();
  // Somebody else was faster: another leader, or who asks for a new history. The next look will tell.
  if (absl::IsAborted(written) || absl::IsAlreadyExists(written) || absl::IsNotFound(written)) return absl::OkStatus();
  if (written.ok()) written_ = mark;
  return written;
}

}  // namespace tranche::quota
