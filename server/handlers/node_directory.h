// Lists the front nodes, by their registrations and by the ledger, and finds the node that an operator names.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "quota/coordination/announcer.h"
#include "quota/coordination/live_nodes.h"
#include "storage/ledger/incarnation_ledger.h"

namespace tranche::server {

// The current session, or COORDINATION_UNAVAILABLE.
absl::StatusOr<std::shared_ptr<quota::Coordination>> RequireSession(quota::SessionSource& sessions);

// The nodes that are registered and live by the ledger, ascending by incarnation. COORDINATION_UNAVAILABLE or
// LEDGER_UNAVAILABLE when one of them does not answer.
absl::StatusOr<std::vector<quota::LiveNode>> RequireLiveNodes(quota::SessionSource& sessions,
                                                              storage::IncarnationLedger& ledger);

// Those that may be given units: the nodes that are not draining.
std::vector<storage::IncarnationId> Receivers(absl::Span<const quota::LiveNode> nodes);
// Those of them that have buyers of their own, and so get a share before anybody asks: not the consumers of queues.
std::vector<storage::IncarnationId> Sharers(absl::Span<const quota::LiveNode> nodes);

// The live node that `node` names: by its name, or by its incarnation in decimal digits. NODE_NOT_FOUND if there is
// none; `field` names the request's field for FIELD_INVALID. Of several incarnations at one address, which is a node
// that was started again, the newest is meant. Nodes that share a name, at several addresses, must be named by
// incarnation.
absl::StatusOr<quota::LiveNode> ResolveNode(absl::Span<const quota::LiveNode> nodes, const std::string& node,
                                            absl::string_view field = "node");

absl::Status NodeNotFound(const std::string& node);
// The error for giving units to a node that is handing its own back.
absl::Status NodeDraining(const quota::LiveNode& node);

}  // namespace tranche::server
