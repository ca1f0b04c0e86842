#include "quota/coordination/live_nodes.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "glog/logging.h"
#include "quota/coordination/coordination_paths.h"
#include "storage/base/status_macros.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {

absl::StatusOr<std::vector<LiveNode>> ListLiveNodes(Coordination& session, Watch watch) {
  ASSIGN_OR_RETURN(const auto names, session.List(kNodesPath, watch));
  ASSIGN_OR_RETURN(const auto draining_names, session.List(kDrainPath, watch));
  absl::flat_hash_set<storage::IncarnationId> draining;
  for (const std::string& name : draining_names) draining.insert(ParseIncarnation(name));

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
    // One of these must not stop the work for all others.
    if (absl::IsPermissionDenied(registrations[i].status())) {
      LOG_EVERY_T(WARNING, 60) << paths[i] << " is kept from this process: that node is given no units. Nodes and "
                               << "balancers need the same --zookeeper-auth-file";
      LiveNode& hidden = nodes.emplace_back();
      hidden.incarnation = incarnations[i];
      hidden.asked_to_drain = draining.contains(incarnations[i]);
      hidden.unreadable = true;
      continue;
    }
    if (!registrations[i].ok()) return registrations[i].status();
    // A node's registration vanishes with its session. One that cannot vanish would keep a dead node's units for ever.
    if (!registrations[i]->owned_by_session()) continue;
    // Somebody wrote over it: the node is there, and writes it again. It has no name until then.
    internal::v1::NodeRegistration registration;
    if (!registration.ParseFromString(registrations[i]->data)) registration.Clear();
    nodes.push_back(LiveNode{.incarnation = incarnations[i],
                             .name = registration.name(),
                             .address = registration.address(),
                             .started_at = absl::FromUnixMicros(registration.started_at_us()),
                             .asked_to_drain = draining.contains(incarnations[i]),
                             .consumer = registration.consumer()});
  }
  std::sort(nodes.begin(), nodes.end(),
            [](const LiveNode& a, const LiveNode& b) { return a.incarnation < b.incarnation; });
  return nodes;
}

}  // namespace tranche::quota
