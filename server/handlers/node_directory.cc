#include "server/handlers/node_directory.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/errors.h"
#include "storage/base/status_macros.h"

namespace tranche::server {

absl::StatusOr<std::shared_ptr<quota::Coordination>> RequireSession(quota::SessionSource& sessions) {
  std::shared_ptr<quota::Coordination> session = sessions.Session();
  if (session == nullptr) return CoordinationError(absl::UnavailableError("no session"));
  return session;
}

absl::StatusOr<std::vector<quota::LiveNode>> RequireLiveNodes(quota::SessionSource& sessions,
                                                              storage::IncarnationLedger& ledger) {
  ASSIGN_OR_RETURN(const auto session, RequireSession(sessions));
  absl::StatusOr<std::vector<quota::LiveNode>> nodes = quota::ListLiveNodes(*session);
  if (!nodes.ok()) return CoordinationError(nodes.status());
  const auto incarnations = ledger.ListLiveIncarnations();
  if (!incarnations.ok()) return LedgerError(incarnations.status(), "", Repeatable::kYes);
  absl::flat_hash_map<storage::IncarnationId, bool> draining;
  for (const storage::Incarnation& incarnation : *incarnations) draining[incarnation.id] = incarnation.draining;

  // A node whose incarnation the ledger has ended will soon begin a new one; until then it can be given and asked
  // nothing.
  std::erase_if(*nodes, [&](const quota::LiveNode& node) { return !draining.contains(node.incarnation); });
  for (quota::LiveNode& node : *nodes) node.draining = draining[node.incarnation];
  return nodes;
}

std::vector<storage::IncarnationId> Receivers(absl::Span<const quota::LiveNode> nodes) {
  std::vector<storage::IncarnationId> receivers;
  for (const quota::LiveNode& node : nodes) {
    if (!node.draining) receivers.push_back(node.incarnation);
  }
  return receivers;
}

std::vector<storage::IncarnationId> Sharers(absl::Span<const quota::LiveNode> nodes) {
  std::vector<storage::IncarnationId> sharers;
  for (const quota::LiveNode& node : nodes) {
    if (!node.draining && !node.consumer) sharers.push_back(node.incarnation);
  }
  return sharers;
}

absl::StatusOr<quota::LiveNode> ResolveNode(absl::Span<const quota::LiveNode> nodes, const std::string& node,
                                            absl::string_view field) {
  if (node.empty()) return InvalidField(field, "is missing: a name or an incarnation");
  std::vector<const quota::LiveNode*> named;
  for (const quota::LiveNode& live : nodes) {
    if (live.name == node) named.push_back(&live);
  }
  if (!named.empty()) {
    const bool one_address = std::all_of(named.begin(), named.end(), [&](const quota::LiveNode* live) {
      return live->address == named.front()->address;
    });
    if (one_address) return *named.back();
    return InvalidField(field, absl::StrCat("is the name of several nodes; give the incarnation of one: ",
                                            absl::StrJoin(named, ", ", [](std::string* text, const auto* live) {
                                              absl::StrAppend(text, live->incarnation, " (", live->address, ")");
                                            })));
  }
  storage::IncarnationId incarnation = storage::kPool;
  const bool digits = absl::SimpleAtoi(node, &incarnation);
  const auto found = std::find_if(nodes.begin(), nodes.end(), [&](const quota::LiveNode& live) {
    return digits && live.incarnation == incarnation;
  });
  if (found != nodes.end()) return *found;
  return NodeNotFound(node);
}

absl::Status NodeNotFound(const std::string& node) {
  return MakeError(v1::ERROR_REASON_NODE_NOT_FOUND,
                   absl::StrCat("There is no live node of the name or incarnation ", node, "."), {{"node", node}});
}

absl::Status NodeDraining(const quota::LiveNode& node) {
  return MakeError(v1::ERROR_REASON_NODE_DRAINING,
                   absl::StrCat("Node ", node.name, " is asked to drain and can be given no units."),
                   {{"node", node.name}});
}

}  // namespace tranche::server
