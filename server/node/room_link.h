// Connects a node's waiting rooms with the balancer that paces them: twice a second it reports who waits here and how
// far the rooms are as this node knows them, and reads how far they are now. Without a policy that has a room it does
// nothing.
#pragma once

#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "quota/coordination/announcer.h"
#include "quota/coordination/coordination.h"
#include "server/admission/door_rooms.h"
#include "storage/clock.h"
#include "storage/ledger/incarnation_id.h"

namespace tranche::server {

// Used by one thread, except for AwaitFirstLook. Outlived by its dependencies.
class RoomLink {
 public:
  // `self`: the node's incarnation, kPool while it has none.
  RoomLink(DoorRooms* rooms, quota::SessionSource* sessions, std::function<storage::IncarnationId()> self,
           storage::Clock* clock)
      : rooms_(rooms), sessions_(sessions), self_(std::move(self)), clock_(clock) {}

  // One look. Blocks while ZooKeeper does not answer, for a session timeout at most: the first call that fails ends it.
  // What fails is tried at the next one.
  void Tick();

  // Until Tick has read the boards once, or so long; not at all without rooms. A node that serves before it has would
  // keep buyers waiting whom others let in. Thread-safe.
  void AwaitFirstLook(absl::Duration at_most) const;

 private:
  absl::Status Report(quota::Coordination& session);
  absl::Status ReadBoards(quota::Coordination& session);

  DoorRooms* const rooms_;
  quota::SessionSource* const sessions_;
  const std::function<storage::IncarnationId()> self_;
  storage::Clock* const clock_;
  // A report may be there under this incarnation; kPool: none is.
  storage::IncarnationId reported_as_ = storage::kPool;
  absl::Notification looked_;
};

}  // namespace tranche::server
