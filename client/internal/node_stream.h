// One gRPC stream to one node: writes one request at a time and matches answers to requests by their sequence.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/internal/stub.h"
#include "tranche/reservation.h"

namespace tranche::internal {

// A request in flight and its callback.
struct StreamItem {
  CreateReservation request;
  absl::AnyInvocable<void(absl::StatusOr<Reservation>)> callback;
  absl::Time attempt_deadline;  // for its try on the stream
  absl::Time deadline;          // for the whole request
};

// Thread-safe. Keeps itself alive until gRPC is done with it.
class NodeStream final : public StreamReactor, public std::enable_shared_from_this<NodeStream> {
 public:
  class Owner {
   public:
    // The node's answer to one request. Called on a thread of gRPC, without locks.
    virtual void OnAnswer(StreamItem item, absl::StatusOr<Reservation> answer) = 0;
    // The stream to `node` has ended; these requests got no answer. This is the last call.
    virtual void OnEnded(int node, std::vector<StreamItem> unanswered) = 0;

   protected:
    ~Owner() = default;
  };

  // The owner must stay alive until OnEnded() has returned.
  static std::shared_ptr<NodeStream> Start(Stub& stub, int node, Owner* owner);

  // False, with `item` unchanged: the stream is ending.
  bool Send(StreamItem& item, absl::Time now);
  // Sends what is queued and then closes the sending side; the node ends the stream after its last answer.
  void FinishSending();
  // Ends the stream at once.
  void Cancel();
  // Cancels the stream when a request is past its attempt's deadline: the node hangs.
  void CancelIfOverdue(absl::Time now);

 private:
  NodeStream(int node, Owner* owner) : node_(node), owner_(owner) {}

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

  // Takes the next request to write into write_; false when there is none.
  bool NextWrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const int node_;
  Owner* const owner_;
  Stub::Context context_;
  // Set at the start, cleared in OnDone: the reference that keeps this alive for gRPC.
  std::shared_ptr<NodeStream> self_;
  tranche::v1::StreamReservationsResponse read_;  // used by the read in progress
  tranche::v1::StreamReservationsRequest write_;  // used by the write in progress

  absl::Mutex mutex_;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finish_sending_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t last_sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<tranche::v1::StreamReservationsRequest> queue_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint64_t, StreamItem> unanswered_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::internal
