#include "quota/balancer/round/reclaim_step.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "quota/coordination/incarnation_znodes.h"
#include "storage/base/log_event.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"
#include "storage/ledger/shard_name.h"
#include "storage/mutation.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;

// To end an incarnation that could not be ended.
constexpr absl::Duration kTryAgain = absl::Seconds(1);

}  // namespace

absl::Status ReclaimStep::Run(Coordination& session) {
  absl::Status status;
  const std::vector<Gone> all_gone = FindGone();
  ForgetWhoIsBack(all_gone);
  for (const Gone& gone : all_gone) {
    const IncarnationId incarnation = gone.incarnation.id;
    if (storage::Mutated(storage::Mutation::kBalancerDoesNotReclaim)) continue;
    // It may be registered for some seconds more.
    context_.nodes.NoteUnable(incarnation);
    const auto waiting = try_again_.find(incarnation);
    if (waiting != try_again_.end() && context_.clock.Now() < waiting->second) continue;
    // When many die at once, nodes that run dry need not wait for all of them.
    if (context_.mover.Exhausted()) {
      context_.inbox.Again();
      break;
    }
    status.Update(Reclaim(session, gone));
  }
  // Ended incarnations need not be remembered.
  const auto ended = [&](const auto& entry) { return !context_.nodes.live().contains(entry.first); };
  std::erase_if(first_seen_unregistered_, ended);
  context_.counts.nodes_gone = std::count_if(all_gone.begin(), all_gone.end(), [&](const Gone& gone) {
    return context_.nodes.live().contains(gone.incarnation.id);
  });
  context_.nodes.ForgetEnded();
  return status;
}

// One that was taken for dead may live after all.
void ReclaimStep::ForgetWhoIsBack(const std::vector<Gone>& gone) {
  std::set<IncarnationId> ids;
  for (const Gone& one : gone) ids.insert(one.incarnation.id);
  std::erase_if(try_again_, [&](const auto& entry) { return !ids.contains(entry.first); });
  std::erase_if(stripped_, [&](IncarnationId id) { return !ids.contains(id); });
}

std::vector<ReclaimStep::Gone> ReclaimStep::FindGone() {
  const std::map<IncarnationId, storage::Incarnation>& live = context_.nodes.live();
  std::set<IncarnationId> dead;
  if (context_.options.probe != nullptr) dead = context_.options.probe->FoundDead();
  // What the tree lacks proves nothing while it is being restored, or if it is not the tree of these nodes.
  const bool restoring = context_.clock.Now() < nobody_dead_before_;
  const bool nobody = context_.nodes.registered().empty();
  if (nobody && !restoring && !live.empty()) TellNobodyIsRegistered(live.size());
  std::vector<Gone> gone;
  for (const auto& [id, incarnation] : live) {
    if (!restoring && !nobody && IsUnregistered(incarnation)) {
      gone.push_back({incarnation, Cause::kRegistrationGone});
    } else if (dead.contains(id)) {
      gone.push_back({incarnation, Cause::kProcessEnded});
    }
  }
  return gone;
}

// Nobody could be given the units. And if this is not the tree of these nodes, they are alive.
void ReclaimStep::TellNobodyIsRegistered(size_t live) const {
  LOG_EVERY_T(ERROR, 60) << "no node is registered in this tree, and the ledger has " << live
                         << " that have not ended. They are all down, or --zookeeper-root is not theirs; "
                         << "they keep their units until a node is registered here";
}

// An incarnation that we saw registered is gone. One that we never saw may be just starting, unless it began long ago.
bool ReclaimStep::IsUnregistered(const storage::Incarnation& incarnation) {
  if (context_.nodes.registered().contains(incarnation.id)) return false;
  const absl::Time now = context_.clock.Now();
  const absl::Time first = first_seen_unregistered_.try_emplace(incarnation.id, now).first->second;
  const absl::Duration grace = context_.options.unregistered_grace;
  return context_.nodes.WasRegistered(incarnation.id) || now - first >= grace || now - incarnation.started_at >= grace;
}

absl::Status ReclaimStep::Reclaim(Coordination& session, const Gone& gone) {
  const IncarnationId incarnation = gone.incarnation.id;
  // To end it puts all its units into the pools, and those of a frozen SKU stay there until a person moves them. That
  // it has ended may be a wrong guess as long as its session lives.
  if (gone.cause == Cause::kProcessEnded) {
    ASSIGN_OR_RETURN(const std::string frozen, context_.mover.FindFrozen(incarnation));
    if (!frozen.empty()) {
      return TakeBack(gone, absl::StrCat("nothing listens there any more, but it holds units of ", frozen,
                                         ", which is frozen: it is ended when its session has, or after a thaw"));
    }
  }
  const std::optional<int64_t> units = UnitsOf(incarnation);
  const auto skus = context_.ledger.ReclaimIncarnation(incarnation);
  if (storage::FoundLocked(skus.status())) {
    return TakeBack(gone, "another transaction locks one of its SKUs: it is ended when that is over");
  }
  if (!skus.ok()) return skus.status();
  // The leaders of other shards hear of a death from home, which removes the registration.
  const std::string& shard = context_.options.shard;
  LOG(WARNING) << "node " << gone.incarnation.node_name << " at " << gone.incarnation.address << ", incarnation "
               << incarnation << ", has gone"
               << (shard == storage::kHomeShard ? "" : absl::StrCat(" from shard ", shard)) << ": "
               << (gone.cause == Cause::kProcessEnded ? "nothing listens there any more" : "it has no registration")
               << "; " << skus->size() << " slices back in the pool";
  std::vector<LogField> fields = {
      {"node", gone.incarnation.node_name},
      {"incarnation", incarnation},
      {"address", gone.incarnation.address},
      {"shard", shard},
      {"skus", static_cast<int64_t>(skus->size())},
      {"evidence", gone.cause == Cause::kProcessEnded ? "process_ended" : "registration_gone"}};
  if (units.has_value()) fields.push_back({"units", *units});
  LogEvent("node.gone", std::move(fields));
  try_again_.erase(incarnation);
  context_.nodes.NoteEnded(incarnation);
  RemoveIncarnationZnodes(session, incarnation);
  context_.mover.CountChanged(skus->size());
  const Evidence evidence = gone.cause == Cause::kProcessEnded ? Evidence::kProbe : Evidence::kSession;
  context_.counts.NoteReclaimed(evidence, skus->size(), units.value_or(0));
  return absl::OkStatus();
}

// What goes back to the pools, by a look right before: one that is not dead may sell some of it meanwhile. A death is
// rare, so that it may cost a read; without an answer the event has no number.
std::optional<int64_t> ReclaimStep::UnitsOf(IncarnationId incarnation) const {
  const auto slices = context_.ledger.ListSlices(incarnation);
  if (!slices.ok()) return std::nullopt;
  int64_t units = 0;
  for (const auto& [sku_id, slice] : *slices) units += slice.remaining;
  return units;
}

absl::Status ReclaimStep::TakeBack(const Gone& gone, const std::string& why) {
  const IncarnationId incarnation = gone.incarnation.id;
  const bool first = try_again_.insert_or_assign(incarnation, context_.clock.Now() + kTryAgain).second;
  LOG_IF(WARNING, first) << "node " << gone.incarnation.node_name << " at " << gone.incarnation.address
                         << ", incarnation " << incarnation << ", cannot be ended yet: " << why
                         << ". The units of its other SKUs go to the others now";
  // Only once from a node that may live: it may take units from the pools meanwhile, and sell them.
  if (gone.cause == Cause::kProcessEnded && stripped_.contains(incarnation)) return absl::OkStatus();
  std::vector<std::string> left;
  const absl::Status taken = context_.mover.TakeBack(incarnation, MoveReason::kReclaim, &left);
  if (taken.ok() && left.empty()) stripped_.insert(incarnation);
  return taken;
}

}  // namespace tranche::quota
