// The answers of MoveSku: the move runs on an executor's thread, and a stream reports its progress. If the caller goes
// away, or loses the role for it, a move that has begun still goes on; one that waits for its turn is not begun.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <deque>
#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "server/rpc/call_frame.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

// Deletes itself when gRPC and the move are both done with it.
class MoveStream final : public grpc::ServerWriteReactor<v1::MoveSkuResponse> {
 public:
  using Tell = std::function<void(const v1::MoveSkuResponse&)>;
  using Move = absl::AnyInvocable<absl::Status(const Tell& tell)>;

  // The reactor to hand to gRPC. The frame outlives it.
  static MoveStream* Start(const CallContext& call, const CallFrame& frame, Move move);

  void OnWriteDone(bool ok) override;
  void OnDone() override;

 private:
  explicit MoveStream(const CallContext& call) : call_(call), access_(call) {}
  // By the move's thread, before anything is sent.
  absl::Status MayBegin();
  void Add(const v1::MoveSkuResponse& response);
  void End(const absl::Status& status);
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Release();

  const CallContext call_;  // valid until the call is finished
  StandingAccess access_;   // of MayBegin
  absl::Mutex mutex_;
  std::deque<v1::MoveSkuResponse> outbox_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  int owners_ ABSL_GUARDED_BY(mutex_) = 2;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tranche::server
