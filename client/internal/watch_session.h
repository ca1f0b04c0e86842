// The work of a ReservationWatch: reads a stream from one node, and continues at another when it ends too early.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/internal/call_environment.h"
#include "client/internal/stub.h"
#include "tranche/reservation.h"
#include "tranche/reservation_watch.h"

namespace tranche::internal {

class WatchStream;

// Thread-safe. The environment outlives it once Close() has returned.
class WatchSession : public std::enable_shared_from_this<WatchSession> {
 public:
  WatchSession(CallEnvironment& environment, std::string reservation_id, const WatchOptions& options);

  // Call it once, before anything else.
  void Start();
  absl::StatusOr<std::optional<Reservation>> Next(absl::Duration timeout);
  void Cancel();
  // Cancels and waits until no stream is open.
  void Close();

 private:
  friend class WatchStream;

  // Called by the stream, on threads of gRPC.
  void OnMessage(const tranche::v1::WatchReservationResponse& message);
  // `release` releases what the stream holds of the environment.
  void OnStreamEnded(const absl::Status& status, absl::FunctionRef<void()> release);

  void Open();
  // Ends the watch, or says how long to wait before the next stream.
  std::optional<absl::Duration> Decide(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Duration NextDelay(bool at_once, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  CallEnvironment& environment_;
  tranche::v1::WatchReservationRequest request_;
  const WatchOptions options_;

  absl::Mutex mutex_;
  WatchStream* stream_ ABSL_GUARDED_BY(mutex_) = nullptr;  // null: no stream is open
  std::optional<Reservation> news_ ABSL_GUARDED_BY(mutex_);
  // Revision and state of what Next returned last.
  std::optional<std::pair<int32_t, ReservationState>> given_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);
  absl::Time failing_since_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  NodeSet::Tried tried_ ABSL_GUARDED_BY(mutex_) = 0;
  int node_ ABSL_GUARDED_BY(mutex_) = 0;
  int backoffs_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tranche::internal
