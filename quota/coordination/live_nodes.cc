#include "quota/coordination/live_nodes.h"

#include <algorithm>

#include "quota/coordination/coordination_paths.h"
#include "storage/status_macros.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {

absl::StatusOr<std::vector<LiveNode>> ListLiveNodes(Coordination& session, Watch watch) {
  ASSIGN_OR_RETURN(const auto names, session.List(kNodesPath, watch));
  // Who drains is the ledger's to say; a change here says when to ask it.
  if (watch == Watch::kYes) RETURN_IF_ERROR(session.List(kDrainPath, watch).status());

  std::vector<std::string> paths;
  std::vector<storage::IncarnationId> incarnations;
  for (const std::string& name : names) {
    if (ParseIncarnation(name) == storage::kPool) continue;
    incarnations.push_back(ParseIncarnation(name));
    paths.push_back(NodePath(incarnations.back()));
  }
  const auto registrations = session.GetMany(paths, Watch::kNo);
  std::vector<LiveNode> nodes;
  for (size_t i = 0; i < registrations.size(); ++i) {
    if (absl::IsNotFound(registrations[i].status())) continue;  // it has left meanwhile
    if (!registrations[i].ok()) return registrations[i].status();
    // A node's registration vanishes with its session. One that cannot vanish would keep a dead node's units for ever.
    if (registrations[i]->ephemeral_owner == 0) continue;
    internal::v1::NodeRegistration registration;
    if (!registration.ParseFromString(registrations[i]->data)) continue;
    nodes.push_back(LiveNode{.incarnation = incarnations[i],
                             .name = registration.name(),
                             .address = registration.address(),
                             .started_at = absl::FromUnixMicros(registration.started_at_us())});
  }
  std::sort(nodes.begin(), nodes.end(),
            [](const LiveNode& a, const LiveNode& b) { return a.incarnation < b.incarnation; });
  return nodes;
}

}  // namespace tranche::quota
