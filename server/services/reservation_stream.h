// One StreamReservations call.
//
//   read -> handler -> decided (any thread, any order) -> outbox -> one write at a time
//
// A request is outstanding from its read to the end of its answer's write. With max_outstanding of them the stream
// stops reading, so that HTTP/2 flow control holds the caller back and a stream's memory is bounded.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <deque>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/handlers/reservation_handler.h"
#include "server/rpc/call_frame.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::server {

struct ReservationStreamOptions {
  int max_outstanding = 1024;  // requests of one stream that are read and whose answers are not written yet
};

class ReservationStream;

// The open streams, so that a draining node can end them. Thread-safe.
class ReservationStreamSet {
 public:
  void Add(const std::shared_ptr<ReservationStream>& stream);
  void Remove(ReservationStream* stream);
  // Stops the open streams and every one that is added later.
  void StopAll();

 private:
  absl::Mutex mutex_;
  absl::flat_hash_map<ReservationStream*, std::shared_ptr<ReservationStream>> streams_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

// Owned by the set until gRPC is done with it, and by every claim that is not decided yet, which may take longer.
class ReservationStream final
    : public grpc::ServerBidiReactor<v1::StreamReservationsRequest, v1::StreamReservationsResponse>,
      public std::enable_shared_from_this<ReservationStream> {
 public:
  // The reactor to hand to gRPC. Frame, handler and set outlive it. Each request is counted as an open call of its own,
  // and each has its own deadline: its timeout, lowered to the frame's max_deadline.
  static ReservationStream* Start(const CallContext& call, const CallFrame& frame, ReservationHandler* handler,
                                  ReservationStreamSet* set, ReservationStreamOptions options);

  // Reads no more; ends with DRAINING once every request that was read is answered.
  void Stop();

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  ReservationStream(const CallContext& call, const CallFrame& frame, ReservationHandler* handler,
                    ReservationStreamSet* set, ReservationStreamOptions options)
      : call_(call), frame_(frame), handler_(handler), set_(set), options_(options) {}

  void Decided(uint64_t sequence, absl::StatusOr<quota::Sold> sold);
  absl::StatusOr<absl::Time> DeadlineOfRequest() const;
  void ReadNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FinishIfOver() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const CallContext call_;  // valid until the call is finished
  const CallFrame& frame_;
  ReservationHandler* const handler_;
  ReservationStreamSet* const set_;
  const ReservationStreamOptions options_;

  // Filled by gRPC, then used by OnReadDone; both only while reading_.
  v1::StreamReservationsRequest request_;

  absl::Mutex mutex_;
  // The front is being written while writing_. A deque: what is being written must not move.
  std::deque<v1::StreamReservationsResponse> outbox_ ABSL_GUARDED_BY(mutex_);
  int outstanding_ ABSL_GUARDED_BY(mutex_) = 0;
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool half_closed_ ABSL_GUARDED_BY(mutex_) = false;  // the caller sends no more
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;    // the caller is gone
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tranche::server
