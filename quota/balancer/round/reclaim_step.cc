#include "quota/balancer/round/reclaim_step.h"

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
  if (context_.clock.Now() < nobody_dead_before_) return absl::OkStatus();
  absl::Status status;
  const std::map<IncarnationId, absl::Time> live = context_.nodes.live();
  if (context_.nodes.registered().empty()) {
    if (!live.empty()) TellNobodyIsRegistered(live.size());
    return absl::OkStatus();
  }
  for (const auto& [incarnation, started_at] : live) {
    if (context_.nodes.registered().contains(incarnation) || !IsGone(incarnation, started_at)) continue;
    if (storage::Mutated(storage::Mutation::kBalancerDoesNotReclaim)) continue;
    const auto locked = not_before_.find(incarnation);
    if (locked != not_before_.end() && context_.clock.Now() < locked->second) continue;
    // When many die at once, nodes that run dry need not wait for all of them.
    if (context_.mover.Exhausted()) {
      context_.inbox.Again();
      break;
    }
    status.Update(Reclaim(session, incarnation));
  }
  // Ended incarnations need not be remembered.
  const auto ended = [&](const auto& entry) { return !context_.nodes.live().contains(entry.first); };
  std::erase_if(first_seen_unregistered_, ended);
  std::erase_if(not_before_, ended);
  context_.nodes.ForgetEnded();
  return status;
}

// Nobody could be given the units. And if this is not the tree of these nodes, they are alive.
void ReclaimStep::TellNobodyIsRegistered(size_t live) const {
  LOG_EVERY_T(ERROR, 60) << "no node is registered in this tree, and the ledger has " << live
                         << " that have not ended. They are all down, or --zookeeper-root is not theirs; "
                         << "they keep their units until a node is registered here";
}

// An incarnation that we saw registered is gone. One that we never saw may be just starting, unless it began long ago.
bool ReclaimStep::IsGone(IncarnationId incarnation, absl::Time started_at) {
  const absl::Time now = context_.clock.Now();
  const absl::Time first = first_seen_unregistered_.try_emplace(incarnation, now).first->second;
  const absl::Duration grace = context_.options.unregistered_grace;
  return context_.nodes.WasRegistered(incarnation) || now - first >= grace || now - started_at >= grace;
}

absl::Status ReclaimStep::Reclaim(Coordination& session, IncarnationId incarnation) {
  const auto skus = context_.ledger.ReclaimIncarnation(incarnation);
  if (storage::FoundLocked(skus.status())) return TakeBack(incarnation);
  if (!skus.ok()) return skus.status();
  LOG(INFO) << "reclaimed incarnation " << incarnation << ": " << skus->size() << " slices back in the pool";
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
