#include "server/handlers/node_handler.h"

#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "quota/coordination_paths.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/proto_time.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::server {
namespace {

constexpr int kLargestPage = 1000;

v1::Node ToMessage(const quota::LiveNode& node) {
  v1::Node message;
  message.set_incarnation(node.incarnation);
  message.set_name(node.name);
  message.set_address(node.address);
  *message.mutable_start_time() = ToTimestamp(node.started_at);
  message.set_draining(node.draining);
  return message;
}

}  // namespace

absl::StatusOr<std::shared_ptr<quota::Coordination>> RequireSession(quota::SessionSource& sessions) {
  std::shared_ptr<quota::Coordination> session = sessions.Session();
  if (session == nullptr) return CoordinationError(absl::UnavailableError("no session"));
  return session;
}

absl::StatusOr<std::vector<quota::LiveNode>> RequireLiveNodes(quota::SessionSource& sessions) {
  const auto session = RequireSession(sessions);
  if (!session.ok()) return session.status();
  absl::StatusOr<std::vector<quota::LiveNode>> nodes = quota::ListLiveNodes(**session);
  if (!nodes.ok()) return CoordinationError(nodes.status());
  return nodes;
}

absl::StatusOr<quota::LiveNode> ResolveNode(absl::Span<const quota::LiveNode> nodes, const std::string& node) {
  if (node.empty()) return FieldError(v1::ERROR_REASON_FIELD_INVALID, "node", "is missing: a name or an incarnation");
  storage::IncarnationId incarnation = storage::kPool;
  const bool digits = absl::SimpleAtoi(node, &incarnation);
  for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
    if (it->name == node || (digits && it->incarnation == incarnation)) return *it;
  }
  return MakeError(v1::ERROR_REASON_NODE_NOT_FOUND, "There is no live node of this name or incarnation.",
                   {{"node", node}});
}

absl::StatusOr<v1::ListNodesResponse> NodeHandler::List(const v1::ListNodesRequest& request) {
  const absl::StatusOr<int> page_size = CheckPageSize(request.page_size(), kLargestPage, kLargestPage);
  if (!page_size.ok()) return page_size.status();
  const absl::StatusOr<std::string> token = DecodePageToken(request.page_token());
  if (!token.ok()) return token.status();
  storage::IncarnationId after = storage::kPool;
  if (!token->empty() && !absl::SimpleAtoi(*token, &after)) {
    return FieldError(v1::ERROR_REASON_FIELD_INVALID, "page_token", "must be the next_page_token of the page before");
  }
  const auto nodes = RequireLiveNodes(*sessions_);
  if (!nodes.ok()) return nodes.status();

  v1::ListNodesResponse response;
  for (const quota::LiveNode& node : *nodes) {
    if (node.incarnation <= after) continue;
    if (response.nodes_size() == *page_size) {
      response.set_next_page_token(EncodePageToken(absl::StrCat(response.nodes(*page_size - 1).incarnation())));
      break;
    }
    *response.add_nodes() = ToMessage(node);
  }
  return response;
}

absl::StatusOr<v1::DrainNodeResponse> NodeHandler::Drain(const v1::DrainNodeRequest& request,
                                                         const std::string& actor) {
  const auto nodes = RequireLiveNodes(*sessions_);
  if (!nodes.ok()) return nodes.status();
  absl::StatusOr<quota::LiveNode> node = ResolveNode(*nodes, request.node());
  if (!node.ok()) return node.status();
  if (!request.preview()) {
    const auto session = RequireSession(*sessions_);
    if (!session.ok()) return session.status();
    internal::v1::DrainRequest drain;
    drain.set_requested_at_us(absl::ToUnixMicros(clock_->Now()));
    const absl::Status created = (*session)->Create(quota::DrainPath(node->incarnation), drain.SerializeAsString(),
                                                    quota::CreateMode::kPersistent);
    if (!created.ok() && created.code() != absl::StatusCode::kAlreadyExists) return CoordinationError(created);
    LOG(INFO) << "node " << node->name << " (incarnation " << node->incarnation << ") is asked to drain by " << actor;
  }
  node->draining = true;
  v1::DrainNodeResponse response;
  *response.mutable_node() = ToMessage(*node);
  return response;
}

}  // namespace tranche::server
