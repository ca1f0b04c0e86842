// What an operator should know when a SKU's claims are to be queued, in the words of whoever types it.
#pragma once

#include "storage/ledger/sku_ledger.h"

namespace tranche::server {

inline constexpr char kQueuesNothing[] =
    "This node has no broker, so it queues nothing: buyers with the path queue are refused here with "
    "QUEUE_UNAVAILABLE, "
    "and claims with the path auto are always decided at once. Start each front node with --queue-broker, and "
    "tranche-consumer beside them.";

// Adds it to an answer. `has_broker`: this node has one. That there are keys for tickets needs no check: a ledger has
// the front door's from the start.
template <typename Response>
void WarnOfClaimPath(storage::ClaimPath path, bool has_broker, Response& response) {
  if (path != storage::ClaimPath::kDirect && !has_broker) response.add_warnings(kQueuesNothing);
}

}  // namespace tranche::server
