#include "server/handlers/front_policy_messages.h"

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "server/admission/front_policy.h"
#include "server/proto_time.h"

namespace tranche::server {

v1::LotteryRound RoundToMessage(const storage::LotteryRound& round) {
  v1::LotteryRound message;
  message.set_round(round.number);
  message.set_commitment(round.commitment);
  message.set_admitted_per_million(round.admitted_per_million);
  *message.mutable_start_time() = ToTimestamp(round.started_at);
  message.set_policy_sku_id(round.policy_sku_id);
  if (!round.ended_at.has_value()) return message;
  *message.mutable_end_time() = ToTimestamp(*round.ended_at);
  message.set_key(round.key);
  return message;
}

v1::StoredFrontPolicy PolicyToMessage(const storage::FrontPolicyRow& row) {
  v1::StoredFrontPolicy message;
  message.set_sku_id(row.sku_id);
  message.set_version(row.version);
  *message.mutable_change_time() = ToTimestamp(row.changed_at);
  message.set_changed_by(row.changed_by);
  if (row.round.has_value()) *message.mutable_round() = RoundToMessage(*row.round);
  absl::StatusOr<v1::FrontPolicy> policy = FromDocument(row.document);
  if (policy.ok()) {
    *message.mutable_policy() = *std::move(policy);
  } else {
    message.set_unreadable(std::string(policy.status().message()));
  }
  return message;
}

}  // namespace tranche::server
