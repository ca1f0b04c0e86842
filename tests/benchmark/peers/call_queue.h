// The calls that wait for a seller.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstddef>
#include <deque>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "tests/benchmark/peers/peer.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::peers {

// Until `reactor` has finished, which whoever takes the call must see to, the others live.
struct PendingCall {
  Claim claim = {};
  bool refusal_in_response = false;  // as in the request
  grpc::CallbackServerContext* context = nullptr;
  v1::CreateReservationResponse* response = nullptr;
  grpc::ServerUnaryReactor* reactor = nullptr;
};

// First in, first out. Thread-safe.
class CallQueue {
 public:
  explicit CallQueue(size_t most);

  // False when it is full or closed.
  bool TryAdd(PendingCall call);
  // Waits for one. nullopt: it is closed and empty.
  std::optional<PendingCall> Take();
  void Close();

 private:
  bool MayTake() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return closed_ || !calls_.empty(); }

  const size_t most_;
  absl::Mutex mutex_;
  std::deque<PendingCall> calls_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tranche::peers
