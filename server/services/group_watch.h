// One WatchGroup call.
#pragma once

#include "server/handlers/watch_hub.h"
#include "server/rpc/call_frame.h"
#include "server/services/watch_reactor.h"
#include "storage/clock.h"
#include "storage/ledger/group_ledger.h"
#include "tranche/v1/group_service.pb.h"

namespace tranche::server {

class GroupWatch final : public WatchReactor<v1::WatchGroupResponse, storage::Group> {
 public:
  // The reactor to hand to gRPC. The hub and the frame's clock outlive it.
  static GroupWatch* Start(const CallContext& call, const CallFrame& frame, GroupWatchHub* hub,
                           const v1::WatchGroupRequest& request);

  void OnChange(const storage::Group& group) override;

 private:
  GroupWatch(const CallContext& call, GroupWatchHub* hub, storage::Clock* clock, const WatchedGroup& id)
      : WatchReactor(call, hub, id), clock_(clock) {}

  storage::Clock* const clock_;
};

}  // namespace tranche::server
