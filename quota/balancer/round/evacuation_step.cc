#include "quota/balancer/round/evacuation_step.h"

#include <vector>

#include "glog/logging.h"
#include "storage/base/status_macros.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;

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
    status.Update(Evacuate(incarnation));
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
absl::Status EvacuationStep::Evacuate(IncarnationId incarnation) {
  LOG_EVERY_T(WARNING, 1) << "incarnation " << incarnation << " does not reach the ledger: its units go to the others";
  context_.nodes.NoteUnable(incarnation);
  newcomers_.NoteEvacuated(incarnation);
  std::vector<std::string> left;
  const absl::Status moved = context_.mover.TakeBack(incarnation, MoveReason::kEvacuation, &left);
  if (moved.ok() && left.empty()) evacuated_.insert(incarnation);
  return moved;
}

}  // namespace tranche::quota
