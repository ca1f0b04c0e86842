// The admin call for how far the waiting rooms are. Blocking: not on gRPC's threads. Thread-safe.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "quota/coordination/announcer.h"
#include "server/handlers/bounded_look.h"
#include "storage/clock.h"
#include "storage/executor.h"
#include "storage/ledger/front_ledger.h"
#include "tranche/internal/v1/coordination.pb.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

class RoomHandler {
 public:
  // What was computed earlier than this before now, nobody computes any more. Boards are written at least every 5 s.
  static constexpr absl::Duration kFresh = absl::Seconds(10);

  // Outlived by all of these. ZooKeeper is asked on a thread of `executor`, for less than a second.
  RoomHandler(storage::FrontLedger* ledger, quota::SessionSource* sessions, storage::Executor* executor,
              storage::Clock* clock)
      : ledger_(ledger), sessions_(sessions), executor_(executor), clock_(clock) {}

  // Of one board, as it was announced: everything but the policy's rule.
  static v1::Room ToMessage(const internal::v1::RoomBoards::Room& board, absl::Time now);

  // The ledger's errors. Without ZooKeeper the rooms are listed all the same, as held for want of a balancer.
  absl::StatusOr<v1::ListRoomsResponse> List(const v1::ListRoomsRequest& request);

 private:
  // Empty if ZooKeeper does not say.
  internal::v1::RoomBoards ReadBoards();

  storage::FrontLedger* const ledger_;
  quota::SessionSource* const sessions_;
  storage::Executor* const executor_;
  storage::Clock* const clock_;
  BoundedLook<internal::v1::RoomBoards> boards_;
};

}  // namespace tranche::server
