// What an operator should know when a SKU's claims are to be queued, in the words of whoever types it.
#pragma once

#include <cstdint>
#include <functional>

#include "absl/status/statusor.h"
#include "storage/ledger/sku_ledger.h"

namespace tranche::server {

inline constexpr char kQueuesNothing[] =
    "This node has no broker, so it queues nothing: buyers with the path queue are refused here with "
    "QUEUE_UNAVAILABLE, and claims with the path auto are always decided at once. Start each front node with "
    "--queue-broker, and tranche-consumer beside them.";
inline constexpr char kNobodyTakes[] =
    "No consumer takes from this SKU's queue: claims that are queued wait, and are refused at their deadlines. Start "
    "tranche-consumer, or resume the queues (tranchectl queue resume) if they are paused.";
inline constexpr char kBrokerSilent[] =
    "The broker does not answer this node, so it is not known whether a consumer takes from this SKU's queue. While it "
    "is silent, claims that would be queued are refused with QUEUE_UNAVAILABLE.";

// How many consumers take from a SKU's queue, as the broker says. Blocks for a second at most. An error if it does not
// say.
using CountConsumers = std::function<absl::StatusOr<int64_t>(const storage::Sku& sku)>;

// Adds it to an answer. `has_broker`: this node has one. That there are keys for tickets needs no check: a ledger has
// the front door's from the start.
template <typename Response>
void WarnOfClaimPath(storage::ClaimPath path, bool has_broker, Response& response) {
  if (path != storage::ClaimPath::kDirect && !has_broker) response.add_warnings(kQueuesNothing);
}

// Also of a queue from which nobody takes. `count_consumers`: null if this node has no broker.
template <typename Response>
void WarnOfClaimQueue(const storage::Sku& sku, const CountConsumers& count_consumers, Response& response) {
  WarnOfClaimPath(sku.claim_path, count_consumers != nullptr, response);
  if (sku.claim_path == storage::ClaimPath::kDirect || count_consumers == nullptr) return;
  const absl::StatusOr<int64_t> consumers = count_consumers(sku);
  if (!consumers.ok()) return response.add_warnings(kBrokerSilent);
  if (*consumers == 0) response.add_warnings(kNobodyTakes);
}

}  // namespace tranche::server
