#include "server/services/reservation_watch.h"

#include <utility>

#include "server/handlers/reservation_messages.h"
#include "server/rpc/peer_address.h"

namespace tranche::server {

ReservationWatch* ReservationWatch::Start(const CallContext& call, const CallFrame& frame, WatchHub* hub,
                                          const v1::WatchReservationRequest& request) {
  const absl::StatusOr<storage::Uuid> id = CheckReservationId(request.reservation_id());
  std::shared_ptr<ReservationWatch> watch(new ReservationWatch(call, hub, frame.clock, id.value_or(storage::Uuid{})));
  watch->self_ = watch;
  // gRPC keeps writes and a finish until it has the reactor.
  ReservationWatch* const reactor = watch.get();
  const absl::Status begun = id.ok() ? hub->Add(*id, std::move(watch), AddressOfPeer(call.peer())) : id.status();
  // What the access file says may have changed before the hub knew the watch.
  begun.ok() ? reactor->OnRecheck() : reactor->OnEnd(begun);
  return reactor;
}

void ReservationWatch::OnReservation(const storage::Reservation& reservation) {
  absl::MutexLock lock(&mutex_);
  if (end_.has_value() || cancelled_ || finished_) return;
  pending_ = reservation;
  WriteNext();
}

void ReservationWatch::OnEnd(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (!end_.has_value()) end_ = status;
  FinishIfOver();
}

void ReservationWatch::OnRecheck() {
  {
    absl::MutexLock lock(&mutex_);
    if (finished_ || cancelled_) return;
    if (!revoked_) {
      if (end_.has_value()) return;
      const absl::Status allowed = access_.Check(call_);
      if (allowed.ok()) return;
      revoked_ = true;
      pending_.reset();
      end_ = allowed;
      return FinishIfOver();
    }
    cancelling_ = true;
  }
  call_.TryCancel();
  absl::MutexLock lock(&mutex_);
  cancelling_ = false;
  FinishIfOver();
}

void ReservationWatch::OnWriteDone(bool ok) {
  absl::MutexLock lock(&mutex_);
  writing_ = false;
  if (ok) {
    call_.meter().Sent();
  } else {
    cancelled_ = true;
  }
  WriteNext();
  FinishIfOver();
}

void ReservationWatch::OnCancel() {
  hub_->Remove(id_, this);
  absl::MutexLock lock(&mutex_);
  cancelled_ = true;
  FinishIfOver();
}

void ReservationWatch::OnDone() {
  hub_->Remove(id_, this);
  const std::shared_ptr<ReservationWatch> last = std::move(self_);
}

void ReservationWatch::WriteNext() {
  if (writing_ || cancelled_ || finished_ || !pending_.has_value()) return;
  response_.Clear();
  Fill(*pending_, clock_->Now(), response_.mutable_reservation());
  pending_.reset();
  writing_ = true;
  StartWrite(&response_);
}

void ReservationWatch::FinishIfOver() {
  if (finished_ || writing_ || cancelling_) return;
  if (cancelled_) {
    finished_ = true;
    return Finish(call_.Conclude(absl::CancelledError()));
  }
  if (!end_.has_value() || pending_.has_value()) return;
  finished_ = true;
  Finish(call_.Conclude(*end_));
}

}  // namespace tranche::server
