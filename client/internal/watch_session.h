// The work of a watch: reads a stream from one node, and continues at another when it ends too early.
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
#include "tranche/group.h"
#include "tranche/reservation.h"
#include "tranche/reservation_watch.h"

namespace tranche::internal {

// What a watch is about: its messages, and the state that they tell, which has a revision and a state of its own.
struct ReservationTopic {
  using Request = tranche::v1::WatchReservationRequest;
  using Response = tranche::v1::WatchReservationResponse;
  using State = Reservation;
  static void Open(Stub& stub, Stub::Context& context, const Request& request, WatchReactor* reactor);
  static State Read(const Response& message);
};
struct GroupTopic {
  using Request = tranche::v1::WatchGroupRequest;
  using Response = tranche::v1::WatchGroupResponse;
  using State = Group;
  static void Open(Stub& stub, Stub::Context& context, const Request& request, GroupWatchReactor* reactor);
  static State Read(const Response& message);
};

template <typename Topic>
class WatchStream;

// Thread-safe. The environment outlives it once Close() has returned.
template <typename Topic>
class WatchSession : public std::enable_shared_from_this<WatchSession<Topic>> {
 public:
  using State = typename Topic::State;

  WatchSession(CallEnvironment& environment, typename Topic::Request request, const WatchOptions& options);

  // Call it once, before anything else.
  void Start();
  absl::StatusOr<std::optional<State>> Next(absl::Duration timeout);
  void Cancel();
  // Cancels and waits until no stream is open.
  void Close();

 private:
  friend class WatchStream<Topic>;

  // Called by the stream, on threads of gRPC.
  void OnMessage(const typename Topic::Response& message);
  // `release` releases what the stream holds of the environment.
  void OnStreamEnded(const absl::Status& status, absl::FunctionRef<void()> release);

  void Open();
  // Ends the watch, or says how long to wait before the next stream.
  std::optional<absl::Duration> Decide(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Duration NextDelay(bool at_once, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  CallEnvironment& environment_;
  const typename Topic::Request request_;
  const WatchOptions options_;

  absl::Mutex mutex_;
  WatchStream<Topic>* stream_ ABSL_GUARDED_BY(mutex_) = nullptr;  // null: no stream is open
  std::optional<State> news_ ABSL_GUARDED_BY(mutex_);
  // Revision and state of what Next returned last.
  std::optional<std::pair<int32_t, decltype(State::state)>> given_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);
  absl::Time failing_since_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  NodeSet::Tried tried_ ABSL_GUARDED_BY(mutex_) = 0;
  int node_ ABSL_GUARDED_BY(mutex_) = 0;
  int backoffs_ ABSL_GUARDED_BY(mutex_) = 0;
};

extern template class WatchSession<ReservationTopic>;
extern template class WatchSession<GroupTopic>;

// Named, so that the public headers can declare them.
class ReservationWatchSession final : public WatchSession<ReservationTopic> {
 public:
  using WatchSession::WatchSession;
};
class GroupWatchSession final : public WatchSession<GroupTopic> {
 public:
  using WatchSession::WatchSession;
};

}  // namespace tranche::internal
