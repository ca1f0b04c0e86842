// One call that watches something through a WatchHubOf: what its caller is told, and how it ends.
//
// At most one message waits while another is being written: a caller that reads slowly misses states in between, but
// never the last one, and costs no memory.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "server/handlers/watch_hub.h"
#include "server/rpc/call_frame.h"

namespace tranche::server {

// Keeps itself alive until gRPC is done with it. The hub, of such things, outlives it.
template <typename Response, typename Thing = storage::Reservation>
class WatchReactor : public grpc::ServerWriteReactor<Response>, public Watcher<Thing> {
 public:
  void OnEnd(const absl::Status& status) override { End(status); }
  // Ends if its caller may not watch any more. The next time, the call is cancelled if it has not ended yet: its caller
  // does not take the message that is being written.
  void OnRecheck() override;

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 protected:
  // Fills in a message that is empty, right before it is written.
  using Message = absl::AnyInvocable<void(Response*)>;

  // `id`: what is watched at the hub.
  WatchReactor(const CallContext& call, WatchHubOf<Thing>* hub, const typename WatchHubOf<Thing>::Key& id)
      : call_(call), hub_(hub), id_(id), access_(call) {}

  // The reference that keeps it alive for gRPC. Call it once, before the hub knows the watch.
  void KeepUntilDone(std::shared_ptr<WatchReactor> self) { self_ = std::move(self); }
  // Writes this, in place of what still waits to be written.
  void Show(Message message);
  // Once what waits is written. Only the first one counts, and nothing is shown after it.
  void End(const absl::Status& status);

 private:
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FinishIfOver() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const CallContext call_;  // valid until the call is finished
  WatchHubOf<Thing>* const hub_;
  const typename WatchHubOf<Thing>::Key id_;
  std::shared_ptr<WatchReactor> self_;  // cleared in OnDone
  Response response_;                   // used by the write in progress

  absl::Mutex mutex_;
  StandingAccess access_ ABSL_GUARDED_BY(mutex_);
  std::optional<Message> pending_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool revoked_ ABSL_GUARDED_BY(mutex_) = false;  // OnRecheck has ended it
  // OnRecheck is cancelling the call, which must not be finished meanwhile: its context would vanish.
  bool cancelling_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;  // the caller is gone
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

template <typename Response, typename Thing>
void WatchReactor<Response, Thing>::Show(Message message) {
  absl::MutexLock lock(&mutex_);
  if (end_.has_value() || cancelled_ || finished_) return;
  pending_ = std::move(message);
  WriteNext();
}

template <typename Response, typename Thing>
void WatchReactor<Response, Thing>::End(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (!end_.has_value()) end_ = status;
  FinishIfOver();
}

template <typename Response, typename Thing>
void WatchReactor<Response, Thing>::OnRecheck() {
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

template <typename Response, typename Thing>
void WatchReactor<Response, Thing>::OnWriteDone(bool ok) {
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

template <typename Response, typename Thing>
void WatchReactor<Response, Thing>::OnCancel() {
  hub_->Remove(id_, this);
  absl::MutexLock lock(&mutex_);
  cancelled_ = true;
  FinishIfOver();
}

template <typename Response, typename Thing>
void WatchReactor<Response, Thing>::OnDone() {
  hub_->Remove(id_, this);
  const std::shared_ptr<WatchReactor> last = std::move(self_);
}

template <typename Response, typename Thing>
void WatchReactor<Response, Thing>::WriteNext() {
  if (writing_ || cancelled_ || finished_ || !pending_.has_value()) return;
  response_.Clear();
  (*pending_)(&response_);
  pending_.reset();
  writing_ = true;
  this->StartWrite(&response_);
}

template <typename Response, typename Thing>
void WatchReactor<Response, Thing>::FinishIfOver() {
  if (finished_ || writing_ || cancelling_) return;
  if (cancelled_) {
    finished_ = true;
    return this->Finish(call_.Conclude(absl::CancelledError()));
  }
  if (!end_.has_value() || pending_.has_value()) return;
  finished_ = true;
  this->Finish(call_.Conclude(*end_));
}

}  // namespace tranche::server
