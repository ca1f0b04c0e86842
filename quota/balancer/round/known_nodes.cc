#include "quota/balancer/round/known_nodes.h"

#include <utility>

#include "storage/base/status_macros.h"

namespace tranche::quota {
namespace {

using storage::IncarnationId;

}  // namespace

absl::Status KnownNodes::LookAround(Coordination& session, const std::set<IncarnationId>& unable) {
  ASSIGN_OR_RETURN(const auto nodes, ListLiveNodes(session, Watch::kYes));
  ASSIGN_OR_RETURN(const auto incarnations, ledger_->ListLiveIncarnations());
  live_.clear();
  std::set<IncarnationId> draining;
  for (const storage::Incarnation& incarnation : incarnations) {
    live_[incarnation.id] = incarnation;
    if (at_home_ && incarnation.draining) draining.insert(incarnation.id);
  }
  // Only home's ledger has the flag. Elsewhere the tree is asked, which home's balancer keeps true.
  for (const LiveNode& node : nodes) {
    if (!at_home_ && node.asked_to_drain) draining.insert(node.incarnation);
  }
  Meet(nodes);
  for (auto* known : {&receivers_, &sharers_, &consumers_}) known->clear();
  for (const LiveNode& node : nodes) {
    // A node that the ledger has ended can be given nothing, even if it is still registered.
    const bool receives = !draining.contains(node.incarnation) && live_.contains(node.incarnation);
    if (!receives || node.unreadable || unable.contains(node.incarnation)) continue;
    receivers_.push_back(node.incarnation);
    (node.consumer ? consumers_ : sharers_).push_back(node.incarnation);
  }
  return absl::OkStatus();
}

void KnownNodes::Meet(const std::vector<LiveNode>& nodes) {
  std::set<IncarnationId> registered;
  for (const LiveNode& node : nodes) {
    registered.insert(node.incarnation);
    if (looked_around_ && !registered_.contains(node.incarnation)) new_.insert(node.incarnation);
  }
  looked_around_ = true;
  seen_registered_.insert(registered.begin(), registered.end());
  registered_ = std::move(registered);
}

std::vector<ProbedNode> KnownNodes::ToProbe() const {
  std::vector<ProbedNode> nodes;
  for (const auto& [id, incarnation] : live_) {
    if (WasRegistered(id)) nodes.push_back({id, incarnation.address, incarnation.node_name, registered_.contains(id)});
  }
  return nodes;
}

void KnownNodes::Forget() {
  looked_around_ = false;
  new_.clear();
  seen_registered_.clear();
}

void KnownNodes::ForgetEnded() {
  std::erase_if(seen_registered_, [&](IncarnationId id) { return !live_.contains(id) && !registered_.contains(id); });
}

}  // namespace tranche::quota
