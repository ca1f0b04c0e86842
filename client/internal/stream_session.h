// The work of a ReservationStream: keeps the window, opens streams, and continues as single calls the requests that a
// stream could not answer.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/internal/connection.h"
#include "client/internal/node_stream.h"
#include "tranche/reservation_stream.h"

namespace tranche::internal {

// Thread-safe. The connection must outlive it; Close() must have returned before the last reference is released.
class StreamSession final : public std::enable_shared_from_this<StreamSession>,
                            private NodeStream::Owner,
                            private StreamWindow {
 public:
  using Callback = ReservationStream::Callback;

  StreamSession(Connection& connection, const StreamOptions& options);

  void Create(CreateReservation request, Callback callback);
  bool TryCreate(CreateReservation& request, Callback& callback);
  void CreateCart(tranche::CreateCart cart, CartOnStream::Callback callback);
  void Confirm(ConfirmReservation change, ConfirmOnStream::Callback callback);
  void Cancel(CancelReservation change, Callback callback);
  void Close();

 private:
  void OnDone(std::vector<NodeStream::Done> done) override;
  void OnRefused(int node, NodeStream::Requests requests, const absl::Status& error) override;
  void OnEnded(int node, NodeStream::Requests unanswered, const absl::Status& status) override;
  void OnAnswered(int room) override;
  void OnDelivered(int count) override;

  // A cart comes in as soon as a claim does, and may take more than is left: it would wait forever for claims that take
  // whatever becomes free.
  bool WindowOpen() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return outstanding_ < max_outstanding_; }
  // Waits until less than `most` of the window is taken.
  void TakeRoom(int room, int most);
  // Call these when room of the window is taken.
  template <typename OnStream, typename Request, typename RequestCallback>
  void Start(Request request, RequestCallback callback);
  // Whether the throttle lets it pass.
  bool MaySend(const StreamRequest& request, absl::Time now);
  void Send(std::unique_ptr<StreamRequest> request, absl::Time now);
  // Ends a request that the throttle has refused, on the scheduler's thread: see RetryingCall::Start.
  void RefuseLater(std::unique_ptr<StreamRequest> request, absl::Time now);
  // The stream to send on; opens one if there is none except `failed`. Null if there is to be none now.
  std::shared_ptr<NodeStream> StreamInsteadOf(const std::shared_ptr<NodeStream>& failed, absl::Time now);
  bool StreamsAllowed(absl::Time now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !closed_ && now >= no_streams_until_;
  }
  // After a node has denied this caller a stream.
  void OpenNoStreamsForAWhile(const absl::Status& denial);
  void ContinueAsCalls(NodeStream::Requests requests, const CallStart& start);
  // So many requests have an answer: retries of others may cost as much again (RetryBudget).
  void RefillBudget(size_t answered);
  // Tells the throttle how so many claims on the stream ended.
  void CountClaims(LoadSign sign, int64_t claims);
  void Watch();

  Connection& connection_;
  const int max_outstanding_;
  // Changes may be an eighth more, as at the node: they do not wait for claims, which may be slow.
  const int most_with_changes_;

  absl::Mutex open_mutex_;  // one thread opens, the others wait; never taken in a callback of a stream
  absl::Mutex mutex_ ABSL_ACQUIRED_AFTER(open_mutex_);
  int outstanding_ ABSL_GUARDED_BY(mutex_) = 0;  // WindowRoom of what is sent and not yet answered
  int undelivered_ ABSL_GUARDED_BY(mutex_) = 0;  // whose callbacks have not run
  int streams_ ABSL_GUARDED_BY(mutex_) = 0;      // started and not yet ended
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool watching_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time no_streams_until_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  std::shared_ptr<NodeStream> stream_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::internal
