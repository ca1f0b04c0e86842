// One WatchReservation call.
#pragma once

#include "server/handlers/watch_hub.h"
#include "server/rpc/call_frame.h"
#include "server/services/watch_reactor.h"
#include "storage/clock.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::server {

class ReservationWatch final : public WatchReactor<v1::WatchReservationResponse> {
 public:
  // The reactor to hand to gRPC. The hub and the frame's clock outlive it.
  static ReservationWatch* Start(const CallContext& call, const CallFrame& frame, WatchHub* hub,
                                 const v1::WatchReservationRequest& request);

  void OnChange(const storage::Reservation& reservation) override;

 private:
  ReservationWatch(const CallContext& call, WatchHub* hub, storage::Clock* clock, const storage::Uuid& id)
      : WatchReactor(call, hub, id), clock_(clock) {}

  storage::Clock* const clock_;
};

}  // namespace tranche::server
