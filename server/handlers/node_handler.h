// Admin calls about front nodes. Blocking: not on gRPC's threads. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "quota/announcer.h"
#include "quota/live_nodes.h"
#include "storage/clock.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class NodeHandler {
 public:
  NodeHandler(quota::SessionSource* sessions, storage::Clock* clock) : sessions_(sessions), clock_(clock) {}

  absl::StatusOr<v1::ListNodesResponse> List(const v1::ListNodesRequest& request);
  absl::StatusOr<v1::DrainNodeResponse> Drain(const v1::DrainNodeRequest& request, const std::string& actor);

 private:
  quota::SessionSource* const sessions_;
  storage::Clock* const clock_;
};

// The current session, or COORDINATION_UNAVAILABLE.
absl::StatusOr<std::shared_ptr<quota::Coordination>> RequireSession(quota::SessionSource& sessions);

// The live nodes by ascending incarnation, or COORDINATION_UNAVAILABLE.
absl::StatusOr<std::vector<quota::LiveNode>> RequireLiveNodes(quota::SessionSource& sessions);

// The live node that `node` means: its name (the newest incarnation of it) or its incarnation in decimal digits.
// NODE_NOT_FOUND if there is none.
absl::StatusOr<quota::LiveNode> ResolveNode(absl::Span<const quota::LiveNode> nodes, const std::string& node);

}  // namespace tranche::server
