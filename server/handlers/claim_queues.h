// The broker's queues of claims as operators see them: what calls about them and the status have in common.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/queue/claim_queue.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

// What a node has of the broker. Outlived by it.
struct ClaimBroker {
  ClaimQueueAdmin* admin = nullptr;  // null: this node has no broker
  ClaimPublisher* publisher = nullptr;
  int partitions = 0;  // of each shard

  bool exists() const { return admin != nullptr; }
};

// May a queue of claims have this name? Others than ours are at the same broker.
bool IsClaimQueueName(const std::string& name);

// Of all queues of these shards, in their order. Queues of a shard that do not exist yet are left out. kUnavailable.
// Blocks; `broker` has one.
absl::StatusOr<std::vector<v1::ClaimQueueState>> ReadClaimQueues(const ClaimBroker& broker,
                                                                 const std::vector<std::string>& shards);

// A dead letter of this queue. What others wrote is input: what is no plain text is shown as unreadable.
v1::DeadClaim ToMessage(const std::string& queue, const DeadClaim& dead);

// QUEUE_UNAVAILABLE: this node has no broker.
absl::Status NoBroker();
// An error of ClaimQueueAdmin about `queue`; "" for none. QUEUE_UNAVAILABLE, or FIELD_INVALID if there is no such
// queue.
absl::Status BrokerError(const absl::Status& status, const std::string& queue);

}  // namespace tranche::server
