#include "quota/balancer/round/evacuation_step.h"

#include <vector>

#include "glog/logging.h"
#include "storage/base/status_macros.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;
using storage::QuotaDelta;
using storage::SkuQuota;

}  // namespace

void EvacuationStep::Forget() {
  unable_since_.clear();
  evacuated_.clear();
}

absl::Status EvacuationStep::Run() {
  std::set<IncarnationId> unable = context_.board.CannotCommit();
  // The report of what is no node was written by hand, or left behind: it must not outvote the nodes.
  std::erase_if(unable, [&](IncarnationId id) { return !context_.nodes.registered().contains(id); });
  ForgetWhoRecovered(unable);
  // When most nodes are unable, they are not the ones cut off: moving everything to the few others, or to none, helps
  // no buyer.
  if (unable.size() * 2 > context_.nodes.registered().size()) return absl::OkStatus();
  absl::Status status;
  for (const IncarnationId incarnation : unable) {
    if (!IsDue(incarnation)) continue;
    ASSIGN_OR_RETURN(const auto slices, context_.ledger.ListSlices(incarnation));
    std::vector<std::string> held;
    for (const auto& [sku_id, slice] : slices) {
      if (slice.remaining > 0) held.push_back(sku_id);
    }
    const absl::Status moved = Evacuate(incarnation, held);
    if (moved.ok()) evacuated_.insert(incarnation);
    status.Update(moved);
  }
  return status;
}

void EvacuationStep::ForgetWhoRecovered(const std::set<IncarnationId>& unable) {
  std::erase_if(unable_since_, [&](const auto& entry) { return !unable.contains(entry.first); });
  const size_t recovered = std::erase_if(evacuated_, [&](IncarnationId id) { return !unable.contains(id); });
  if (recovered > 0) context_.inbox.Note([](News& news) { news.nodes = true; });
}

bool EvacuationStep::IsDue(IncarnationId incarnation) {
  const absl::Time now = context_.clock.Now();
  const absl::Time since = unable_since_.try_emplace(incarnation, now).first->second;
  return now - since >= context_.options.cannot_commit_grace && !evacuated_.contains(incarnation);
}

// From now on it receives nothing; what it holds goes into the pools.
absl::Status EvacuationStep::Evacuate(IncarnationId incarnation, absl::Span<const std::string> held) {
  LOG(WARNING) << "incarnation " << incarnation << " does not reach the ledger: its units go to the others";
  context_.nodes.NoteUnable(incarnation);
  newcomers_.NoteEvacuated(incarnation);
  return context_.mover.MoveUnitsOf(held, [&](const SkuQuota& now) -> std::vector<QuotaDelta> {
    if (now.sku.quota_frozen) return {};
    for (const storage::HeldSlice& slice : now.quota.slices) {
      if (slice.holder == incarnation && slice.remaining > 0) return {QuotaDelta{incarnation, -slice.remaining}};
    }
    return {};
  });
}

}  // namespace tranche::quota
