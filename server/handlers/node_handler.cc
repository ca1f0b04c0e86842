#include "server/handlers/node_handler.h"

#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "quota/coordination/coordination_paths.h"
#include "server/errors.h"
#include "server/handlers/field_checks.h"
#include "server/handlers/node_directory.h"
#include "server/proto_time.h"
#include "storage/base/status_macros.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::server {
namespace {

absl::Status NotTold(const quota::LiveNode& node, const char* what, const absl::Status& status) {
  LOG(WARNING) << "coordination: " << status;
  return MakeError(v1::ERROR_REASON_COORDINATION_UNAVAILABLE,
                   absl::StrCat("The ledger has recorded that node ", node.name, " ", what,
                                ", but the node could not be told; repeat the call."),
                   {{"node", node.name}});
}

bool IsLastServing(absl::Span<const quota::LiveNode> nodes, const quota::LiveNode& node) {
  const std::vector<storage::IncarnationId> serving = Sharers(nodes);
  return serving.size() == 1 && serving.front() == node.incarnation;
}

}  // namespace

absl::StatusOr<v1::ListNodesResponse> NodeHandler::List(const v1::ListNodesRequest& request) {
  ASSIGN_OR_RETURN(const int page_size, CheckPageSize(request.page_size(), kLargestPageSize));
  ASSIGN_OR_RETURN(const std::string token, DecodePageToken(request.page_token()));
  storage::IncarnationId after = storage::kPool;
  if (!token.empty() && !absl::SimpleAtoi(token, &after)) {
    return InvalidField("page_token", "must be the next_page_token of the page before");
  }
  ASSIGN_OR_RETURN(const auto nodes, RequireLiveNodes(*sessions_, *ledger_));

  v1::ListNodesResponse response;
  for (const quota::LiveNode& node : nodes) {
    if (node.incarnation <= after) continue;
    if (response.nodes_size() == page_size) {
      response.set_next_page_token(EncodePageToken(absl::StrCat(response.nodes(page_size - 1).incarnation())));
      break;
    }
    *response.add_nodes() = ToMessage(node);
  }
  return response;
}

absl::StatusOr<v1::DrainNodeResponse> NodeHandler::Drain(const v1::DrainNodeRequest& request,
                                                         const storage::Actor& actor) {
  const bool exit = !request.stay();
  absl::StatusOr<Change> change = SetDraining(request.node(), exit, request.preview(), actor,
                                              [&](quota::Coordination& session, storage::IncarnationId incarnation) {
                                                return AskToDrain(session, incarnation, exit);
                                              });
  if (!change.ok()) return change.status();
  v1::DrainNodeResponse response;
  *response.mutable_before() = std::move(change->before);
  *response.mutable_node() = std::move(change->after);
  for (std::string& warning : change->warnings) response.add_warnings(std::move(warning));
  return response;
}

absl::StatusOr<v1::UndrainNodeResponse> NodeHandler::Undrain(const v1::UndrainNodeRequest& request,
                                                             const storage::Actor& actor) {
  absl::StatusOr<Change> change = SetDraining(request.node(), /*exit=*/std::nullopt, request.preview(), actor,
                                              [](quota::Coordination& session, storage::IncarnationId incarnation) {
                                                const absl::Status deleted =
                                                    session.Delete(quota::DrainPath(incarnation), quota::kAnyVersion);
                                                return absl::IsNotFound(deleted) ? absl::OkStatus() : deleted;
                                              });
  if (!change.ok()) return change.status();
  v1::UndrainNodeResponse response;
  *response.mutable_before() = std::move(change->before);
  *response.mutable_node() = std::move(change->after);
  return response;
}

template <typename Tell>
absl::StatusOr<NodeHandler::Change> NodeHandler::SetDraining(const std::string& name, std::optional<bool> exit,
                                                             bool preview, const storage::Actor& actor,
                                                             const Tell& tell) {
  const bool draining = exit.has_value();
  ASSIGN_OR_RETURN(const auto nodes, RequireLiveNodes(*sessions_, *ledger_));
  ASSIGN_OR_RETURN(quota::LiveNode node, ResolveNode(nodes, name));
  Change change;
  change.before = ToMessage(node);
  if (draining) {
    change.before.set_units_held(UnitsHeld(node.incarnation).value_or(0));
    if (IsLastServing(nodes, node)) {
      change.warnings.emplace_back("It is the last node that serves: without it, nothing is sold.");
    }
  }
  if (!preview) {
    storage::DrainTelling telling;
    if (draining) telling = {.exit = exit, .told_exit = ToldToExit(node.incarnation)};
    const auto set = ledger_->SetDraining(node.incarnation, draining, actor, telling);
    if (absl::IsNotFound(set.status())) return NodeNotFound(name);  // it has ended since it was listed
    if (!set.ok()) return LedgerError(set.status(), "", Repeatable::kYes);
    const std::shared_ptr<quota::Coordination> session = sessions_->Session();
    const absl::Status told =
        session == nullptr ? absl::UnavailableError("no session") : tell(*session, node.incarnation);
    if (!told.ok()) return NotTold(node, draining ? "drains" : "serves", told);
    LOG(INFO) << "node " << node.name << " (incarnation " << node.incarnation << ") is asked to "
              << (draining ? "drain" : "serve again") << " by " << actor;
  }
  node.draining = draining;
  change.after = ToMessage(node);
  return change;
}

std::optional<bool> NodeHandler::ToldToExit(storage::IncarnationId incarnation) {
  const std::shared_ptr<quota::Coordination> session = sessions_->Session();
  if (session == nullptr) return std::nullopt;
  const absl::StatusOr<quota::Znode> znode = session->Get(quota::DrainPath(incarnation), quota::Watch::kNo);
  internal::v1::DrainRequest told;
  if (!znode.ok() || !told.ParseFromString(znode->data)) return std::nullopt;
  return told.exit();
}

// The last request counts, whatever was requested before.
absl::Status NodeHandler::AskToDrain(quota::Coordination& session, storage::IncarnationId incarnation, bool exit) {
  internal::v1::DrainRequest drain;
  drain.set_requested_at_us(absl::ToUnixMicros(clock_->Now()));
  drain.set_exit(exit);
  const std::string path = quota::DrainPath(incarnation);
  const absl::Status created = session.Create(path, drain.SerializeAsString(), quota::CreateMode::kPersistent);
  if (!absl::IsAlreadyExists(created)) return created;
  return session.Set(path, drain.SerializeAsString(), quota::kAnyVersion);
}

v1::Node NodeHandler::ToMessage(const quota::LiveNode& node) {
  v1::Node message;
  message.set_incarnation(node.incarnation);
  message.set_name(node.name);
  message.set_address(node.address);
  *message.mutable_start_time() = ToTimestamp(node.started_at);
  message.set_draining(node.draining);
  message.set_consumer(node.consumer);
  message.set_state(node.draining ? v1::NODE_STATE_DRAINING : v1::NODE_STATE_SERVING);
  if (!node.draining) return message;
  const std::optional<int64_t> held = UnitsHeld(node.incarnation);
  if (!held.has_value()) return message;  // then it is not known to be done
  message.set_units_held(*held);
  if (*held == 0) message.set_state(v1::NODE_STATE_DRAINED);
  return message;
}

std::optional<int64_t> NodeHandler::UnitsHeld(storage::IncarnationId incarnation) {
  const auto slices = ledger_->ListSlices(incarnation);
  if (!slices.ok()) return std::nullopt;
  int64_t held = 0;
  for (const auto& [_, slice] : *slices) held += slice.remaining;
  return held;
}

}  // namespace tranche::server
