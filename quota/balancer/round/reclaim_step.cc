#include "quota/balancer/round/reclaim_step.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "glog/logging.h"
#include "quota/coordination/incarnation_znodes.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"
#include "storage/mutation.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;

// To end an incarnation of which a SKU is locked.
constexpr absl::Duration kTryAgain = absl::Seconds(1);

}  // namespace

absl::Status ReclaimStep::Run(Coordination& session) {
  absl::Status status;
  for (const Gone& gone : FindGone()) {
    const IncarnationId incarnation = gone.incarnation.id;
    if (storage::Mutated(storage::Mutation::kBalancerDoesNotReclaim)) continue;
    // It may be registered for some seconds more.
    context_.nodes.NoteUnable(incarnation);
    const auto locked = not_before_.find(incarnation);
    if (locked != not_before_.end() && context_.clock.Now() < locked->second) continue;
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
  std::erase_if(not_before_, ended);
  context_.nodes.ForgetEnded();
  return status;
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
    if (dead.contains(id)) {
      gone.push_back({incarnation, Cause::kProcessEnded});
    } else if (!restoring && !nobody && IsUnregistered(incarnation)) {
      gone.push_back({incarnation, Cause::kRegistrationGone});
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
  const auto skus = context_.ledger.ReclaimIncarnation(incarnation);
  if (storage::FoundLocked(skus.status())) return TakeBack(incarnation);
  if (!skus.ok()) return skus.status();
  LOG(WARNING) << "node " << gone.incarnation.node_name << " at " << gone.incarnation.address << ", incarnation "
               << incarnation << ", has gone: "
               << (gone.cause == Cause::kProcessEnded ? "nothing listens there any more" : "it has no registration")
               << "; " << skus->size() << " slices back in the pool";
  not_before_.erase(incarnation);
  context_.nodes.NoteEnded(incarnation);
  RemoveIncarnationZnodes(session, incarnation);
  context_.mover.CountChanged(skus->size());
  return absl::OkStatus();
}

absl::Status ReclaimStep::TakeBack(IncarnationId incarnation) {
  const bool first = not_before_.insert_or_assign(incarnation, context_.clock.Now() + kTryAgain).second;
  LOG_IF(WARNING, first) << "incarnation " << incarnation
                         << " has gone, and another transaction locks one of its SKUs: "
                         << "it is ended when that is over; the units of its other SKUs go to the others now";
  std::vector<std::string> left;
  return context_.mover.TakeBack(incarnation, &left);
}

}  // namespace tranche::quota
