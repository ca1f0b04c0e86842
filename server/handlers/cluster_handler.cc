#include "server/handlers/cluster_handler.h"

#include "absl/status/status.h"
#include "glog/logging.h"
#include "server/errors.h"
#include "server/proto_time.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::server {
namespace {

using ShardOfCluster = ClusterHandler::ShardOfCluster;
using SettingsOr = absl::StatusOr<storage::ClusterSettings>;

SettingsOr ReadOf(const ShardOfCluster& shard) {
  if (shard.ledger == nullptr) return storage::NotReachedError("the shard is known not to answer");
  return shard.ledger->ReadClusterSettings();
}

v1::ShardSettings ToSettingsMessage(const ShardOfCluster& shard, const SettingsOr& settings) {
  v1::ShardSettings message;
  message.set_shard(shard.name);
  message.set_answers(settings.ok());
  if (!settings.ok()) return message;
  message.set_frozen(settings->frozen);
  if (settings->changed_at.has_value()) *message.mutable_change_time() = ToTimestamp(*settings->changed_at);
  message.set_changed_by(settings->changed_by);
  return message;
}

SettingsOr SetFreeze(const ShardOfCluster& shard, const storage::ClusterSettings& before, bool frozen,
                     const storage::Actor& actor) {
  RETURN_IF_ERROR(shard.ledger->SetClusterFrozen(frozen, actor));
  SettingsOr after = shard.ledger->ReadClusterSettings();
  if (after.ok()) return after;
  // It is set, even if it cannot be read back.
  if (before.frozen == frozen) return before;
  return storage::ClusterSettings{.frozen = frozen, .changed_by = actor.name};
}

}  // namespace

absl::StatusOr<v1::SetClusterFrozenResponse> ClusterHandler::SetFrozen(const v1::SetClusterFrozenRequest& request,
                                                                       const storage::Actor& actor) {
  v1::SetClusterFrozenResponse response;
  absl::Status error;
  bool any = false;
  for (const ShardOfCluster& shard : shards_()) {
    const SettingsOr before = ReadOf(shard);
    SettingsOr after = before;
    if (before.ok() && request.preview()) after->frozen = request.frozen();
    if (before.ok() && !request.preview()) after = SetFreeze(shard, *before, request.frozen(), actor);
    any |= after.ok();
    error.Update(after.status());
    *response.add_before() = ToSettingsMessage(shard, before);
    *response.add_shards() = ToSettingsMessage(shard, after);
  }
  if (!any) return LedgerError(error, "", Repeatable::kYes);
  if (!request.preview()) LOG(INFO) << "the cluster is " << (request.frozen() ? "frozen by " : "thawed by ") << actor;
  return response;
}

absl::StatusOr<v1::GetClusterSettingsResponse> ClusterHandler::Get(const v1::GetClusterSettingsRequest& /*request*/) {
  v1::GetClusterSettingsResponse response;
  for (const ShardOfCluster& shard : shards_()) *response.add_shards() = ToSettingsMessage(shard, ReadOf(shard));
  return response;
}

}  // namespace tranche::server
