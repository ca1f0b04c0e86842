#include "server/handlers/claim_queues.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/errors.h"
#include "server/plain_utf8.h"
#include "server/proto_time.h"
#include "server/queue/queued_claim.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

constexpr char kClaimQueuePrefix[] = "tranche.claims.";
constexpr char kDeadQueueSuffix[] = ".dead";
constexpr size_t kMaxQueueNameBytes = 255;  // AMQP's

std::vector<std::string> ClaimQueuesOf(const std::string& shard, int partitions) {
  std::vector<std::string> queues;
  for (int partition = 0; partition < partitions; ++partition) queues.push_back(ClaimQueueName(shard, partition));
  return queues;
}

absl::Status AddQueueDepths(ClaimQueueAdmin& admin, const std::vector<std::string>& queues,
                            const std::vector<std::string>& shards, std::vector<v1::ClaimQueueState>& states) {
  ASSIGN_OR_RETURN(const std::vector<QueueDepth> depths, admin.Depths(queues));
  for (size_t i = 0; i < std::min(depths.size(), queues.size()); ++i) {
    v1::ClaimQueueState& state = states.emplace_back();
    state.set_queue(queues[i]);
    state.set_shard(shards[i]);
    state.set_ready(depths[i].ready);
    state.set_consumers(depths[i].consumers);
    state.set_dead(depths[i].dead);
  }
  return absl::OkStatus();
}

std::string PlainText(const std::string& text) { return IsPlainUtf8(text) ? text : "(unreadable)"; }

// What protobuf does not call valid would make the whole answer unreadable.
void SetPlainTime(absl::Time time, google::protobuf::Timestamp* (v1::DeadClaim::*field)(), v1::DeadClaim& message) {
  constexpr int64_t kYear10000 = 253'402'300'800;
  if (time < absl::UnixEpoch() || time >= absl::FromUnixSeconds(kYear10000)) return;
  *(message.*field)() = ToTimestamp(time);
}

}  // namespace

bool IsClaimQueueName(const std::string& name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  return absl::StartsWith(name, kClaimQueuePrefix) && !absl::EndsWith(name, kDeadQueueSuffix) &&
         name.size() <= kMaxQueueNameBytes && std::all_of(name.begin(), name.end(), fits);
}

absl::StatusOr<std::vector<v1::ClaimQueueState>> ReadClaimQueues(const ClaimBroker& broker,
                                                                 const std::vector<std::string>& shards) {
  std::vector<std::string> queues, of_shards;
  for (const std::string& shard : shards) {
    for (std::string& queue : ClaimQueuesOf(shard, broker.partitions)) {
      queues.push_back(std::move(queue));
      of_shards.push_back(shard);
    }
  }
  std::vector<v1::ClaimQueueState> states;
  const absl::Status all = AddQueueDepths(*broker.admin, queues, of_shards, states);
  if (all.ok()) return states;
  if (!absl::IsNotFound(all)) return all;
  // Nobody has declared those of a new shard yet.
  for (const std::string& shard : shards) {
    const std::vector<std::string> of_shard = ClaimQueuesOf(shard, broker.partitions);
    const absl::Status added =
        AddQueueDepths(*broker.admin, of_shard, std::vector<std::string>(of_shard.size(), shard), states);
    if (!added.ok() && !absl::IsNotFound(added)) return added;
  }
  return states;
}

v1::DeadClaim ToMessage(const std::string& queue, const DeadClaim& dead) {
  v1::DeadClaim message;
  message.set_queue(queue);
  message.set_reason(PlainText(dead.reason));
  SetPlainTime(dead.died_at, &v1::DeadClaim::mutable_dead_time, message);
  message.set_message_id(PlainText(dead.id));
  message.set_deliveries(dead.deliveries);
  const absl::StatusOr<QueuedClaim> claim = ReadMessage(dead.body);
  if (!claim.ok() || claim->lines.empty()) return message;
  const storage::ReservationClaim& first = claim->lines.front();
  message.set_reservation_id(first.reservation_id.ToString());
  message.set_sku_id(first.sku_id);
  message.set_user_id(first.user_id);
  message.set_quantity(first.quantity);
  message.set_lines(static_cast<int32_t>(claim->lines.size()));
  if (first.group != nullptr) message.set_group_id(first.group->group_id.ToString());
  SetPlainTime(claim->enqueued_at, &v1::DeadClaim::mutable_enqueue_time, message);
  SetPlainTime(claim->deadline, &v1::DeadClaim::mutable_deadline, message);
  return message;
}

absl::Status NoBroker() {
  return MakeError(v1::ERROR_REASON_QUEUE_UNAVAILABLE,
                   "This node has no broker: it was started without --queue-broker. Ask a node that has one.");
}

absl::Status BrokerError(const absl::Status& status, const std::string& queue) {
  if (absl::IsNotFound(status) && !queue.empty()) {
    return InvalidField("queue", "does not exist at the broker: ListClaimQueues (tranchectl queue list) names them");
  }
  const std::string detail(status.message());
  return MakeError(v1::ERROR_REASON_QUEUE_UNAVAILABLE,
                   absl::StrCat("The broker (--queue-broker) does not answer this node: ", PlainText(detail), "."));
}

}  // namespace tranche::server
