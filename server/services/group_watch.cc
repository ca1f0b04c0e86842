#include "server/services/group_watch.h"

#include <memory>
#include <utility>

#include "server/handlers/field_checks.h"
#include "server/handlers/group_messages.h"
#include "server/rpc/peer_address.h"
#include "storage/base/status_macros.h"

namespace tranche::server {
namespace {

absl::StatusOr<WatchedGroup> CheckWatchedGroup(const v1::WatchGroupRequest& request) {
  if (!request.sku_id().empty()) RETURN_IF_ERROR(CheckSkuId(request.sku_id()));
  ASSIGN_OR_RETURN(const storage::Uuid id, CheckGroupId(request.group_id()));
  return WatchedGroup{id, request.sku_id()};
}

}  // namespace

GroupWatch* GroupWatch::Start(const CallContext& call, const CallFrame& frame, GroupWatchHub* hub,
                              const v1::WatchGroupRequest& request) {
  const absl::StatusOr<WatchedGroup> id = CheckWatchedGroup(request);
  std::shared_ptr<GroupWatch> watch(new GroupWatch(call, hub, frame.clock, id.value_or(WatchedGroup{})));
  watch->KeepUntilDone(watch);
  // gRPC keeps writes and a finish until it has the reactor.
  GroupWatch* const reactor = watch.get();
  const absl::Status begun = id.ok() ? hub->Add(*id, std::move(watch), AddressOfPeer(call.peer())) : id.status();
  // What the access file says may have changed before the hub knew the watch.
  begun.ok() ? reactor->OnRecheck() : reactor->OnEnd(begun);
  return reactor;
}

void GroupWatch::OnChange(const storage::Group& group) {
  Show([clock = clock_, group](v1::WatchGroupResponse* response) {
    Fill(group, clock->Now(), response->mutable_group());
  });
}

}  // namespace tranche::server
