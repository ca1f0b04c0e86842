// One WatchReservation call.
//
// At most one message waits while another is being written: a caller that reads slowly misses states in between, but
// never the last one, and costs no memory.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "server/handlers/watch_hub.h"
#include "server/rpc/call_frame.h"
#include "storage/clock.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::server {

// Keeps itself alive until gRPC is done with it.
class ReservationWatch final : public grpc::ServerWriteReactor<v1::WatchReservationResponse>,
                               public ReservationWatcher {
 public:
  // The reactor to hand to gRPC. The hub and the frame's clock outlive it.
  static ReservationWatch* Start(const CallContext& call, const CallFrame& frame, WatchHub* hub,
                                 const v1::WatchReservationRequest& request);

  void OnReservation(const storage::Reservation& reservation) override;
  void OnEnd(const absl::Status& status) override;
  // Ends if its caller may not watch any more. The next time, the call is cancelled if it has not ended yet: its caller
  // does not take the message that is being written.
  void OnRecheck() override;

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  ReservationWatch(const CallContext& call, WatchHub* hub, storage::Clock* clock, storage::Uuid id)
      : call_(call), hub_(hub), clock_(clock), id_(id), access_(call) {}

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FinishIfOver() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const CallContext call_;  // valid until the call is finished
  WatchHub* const hub_;
  storage::Clock* const clock_;
  const storage::Uuid id_;
  // Set at the start, cleared in OnDone: the reference that keeps this alive for gRPC.
  std::shared_ptr<ReservationWatch> self_;
  v1::WatchReservationResponse response_;  // used by the write in progress

  absl::Mutex mutex_;
  StandingAccess access_ ABSL_GUARDED_BY(mutex_);
  std::optional<storage::Reservation> pending_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool revoked_ ABSL_GUARDED_BY(mutex_) = false;  // OnRecheck has ended it
  // OnRecheck is cancelling the call, which must not be finished meanwhile: its context would vanish.
  bool cancelling_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;  // the caller is gone
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tranche::server
