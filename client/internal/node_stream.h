// One gRPC stream to one node: writes one message at a time and matches answers to requests by their sequence.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/internal/request_queue.h"
#include "client/internal/stream_request.h"
#include "client/internal/stub.h"

namespace tranche::internal {

// Thread-safe. Keeps itself alive until gRPC is done with it.
//
// A node that takes frames says so when the stream begins; until then each request is a message.
class NodeStream final : public StreamReactor, public std::enable_shared_from_this<NodeStream> {
 public:
  using Requests = std::vector<std::unique_ptr<StreamRequest>>;
  // A request and the node's answer to it.
  using Done = std::pair<std::unique_ptr<StreamRequest>, const tranche::v1::StreamReservationsResult*>;

  class Owner {
   public:
    // What one message has answered. These are called on a thread of gRPC, without locks.
    virtual void OnDone(std::vector<Done> done) = 0;
    virtual void OnRefused(int node, Requests requests, const absl::Status& error) = 0;
    // The stream to `node` has ended with `status`; these requests got no answer. This is the last call.
    virtual void OnEnded(int node, Requests unanswered, const absl::Status& status) = 0;

   protected:
    ~Owner() = default;
  };

  // The owner must stay alive until OnEnded() has returned.
  static std::shared_ptr<NodeStream> Start(Stub& stub, int node, Owner* owner);

  enum class Sending {
    kTaken,
    kNotHere,  // too large for a message to this node, or of a kind that it has not said to take
    kEnding,   // another stream may take it
  };
  // Unless it is taken, `request` is unchanged. What a callback of this stream sends is written when all callbacks of
  // its message have run: answers come in frames, and so what they lead to goes out in frames, too.
  Sending Send(std::unique_ptr<StreamRequest>& request, absl::Time now);
  // Sends what is queued and then closes the sending side; the node ends the stream after its last answer.
  void FinishSending();
  // Ends the stream at once.
  void Cancel();
  // Cancels the stream when a request is past its attempt's deadline: the node hangs.
  void CancelIfOverdue(absl::Time now);

 private:
  NodeStream(int node, Owner* owner) : node_(node), owner_(owner) {}

  void OnReadInitialMetadataDone(bool ok) override;
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

  // Takes the next message to write into write_; false when there is none.
  bool NextWrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Writes what is queued, unless a write is in progress, whose end does so.
  void WriteQueued() ABSL_LOCKS_EXCLUDED(mutex_);
  // Null if nobody waits for an answer of this sequence.
  std::unique_ptr<StreamRequest> Take(uint64_t sequence) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Tells the owner what is in a message, and writes what it sends for that.
  void Deliver(const tranche::v1::StreamReservationsResponse& answers) ABSL_LOCKS_EXCLUDED(mutex_);
  void TellOwner(const tranche::v1::StreamReservationsResponse& answers) ABSL_LOCKS_EXCLUDED(mutex_);

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
  RequestQueue queue_ ABSL_GUARDED_BY(mutex_);
  // What the node takes.
  std::vector<std::string> kinds_ ABSL_GUARDED_BY(mutex_) = {std::string(CreateOnStream::kClaim)};
  absl::flat_hash_map<uint64_t, std::unique_ptr<StreamRequest>> unanswered_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::internal
