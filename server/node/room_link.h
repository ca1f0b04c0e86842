// Connects a node's waiting rooms with the balancer that paces them: twice a second it reports who waits here, and reads
// how far the rooms are. Without a policy that has a room it does nothing.
#pragma once

#include <functional>

#include "quota/coordination/announcer.h"
#include "server/admission/door_rooms.h"
#include "storage/clock.h"
#include "storage/ledger/incarnation_id.h"

namespace tranche::server {

// Used by one thread. Outlived by its dependencies.
class RoomLink {
 public:
  // `self`: the node's incarnation, kPool while it has none.
  RoomLink(DoorRooms* rooms, quota::SessionSource* sessions, std::function<storage::IncarnationId()> self,
           storage::Clock* clock)
      : rooms_(rooms), sessions_(sessions), self_(std::move(self)), clock_(clock) {}

  // One look. Blocks while ZooKeeper does not answer, for a session timeout at most. What fails is tried at the next one.
  void Tick();

 private:
  DoorRooms* const rooms_;
  quota::SessionSource* const sessions_;
  const std::function<storage::IncarnationId()> self_;
  storage::Clock* const clock_;
  bool reported_ = false;  // a report of this node may be there
};

}  // namespace tranche::server
