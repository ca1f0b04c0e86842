#include "server/services/reservation_watch.h"

#include <memory>
#include <utility>

#include "server/handlers/reservation_messages.h"
#include "server/rpc/peer_address.h"

namespace tranche::server {

ReservationWatch* ReservationWatch::Start(const CallContext& call, const CallFrame& frame, WatchHub* hub,
                                          const v1::WatchReservationRequest& request) {
  const absl::StatusOr<storage::Uuid> id = CheckReservationId(request.reservation_id());
  std::shared_ptr<ReservationWatch> watch(new ReservationWatch(call, hub, frame.clock, id.value_or(storage::Uuid{})));
  watch->KeepUntilDone(watch);
  // gRPC keeps writes and a finish until it has the reactor.
  ReservationWatch* const reactor = watch.get();
  const absl::Status begun = id.ok() ? hub->Add(*id, std::move(watch), AddressOfPeer(call.peer())) : id.status();
  // What the access file says may have changed before the hub knew the watch.
  begun.ok() ? reactor->OnRecheck() : reactor->OnEnd(begun);
  return reactor;
}

void ReservationWatch::OnChange(const storage::Reservation& reservation) {
  Show([clock = clock_, reservation](v1::WatchReservationResponse* response) {
    Fill(reservation, clock->Now(), response->mutable_reservation());
  });
}

}  // namespace tranche::server
