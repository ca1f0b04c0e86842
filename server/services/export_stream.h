// One ExportPayments call.
//
//   read a page (on the executor, because it blocks) -> write it, and meanwhile read the next one
//
// So HTTP/2 flow control holds back a caller who reads slowly, and only their own stream waits for them: with one page
// being written and one read, it holds no thread, no connection and no transaction. These pages are counted as long as
// it is open (AnswerBudget).
//
// A caller who may not export any more gets no other page. If they do not even take the one that is being written, the
// call is cancelled (OpenExports).
#pragma once

#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/handlers/payment_handler.h"
#include "server/rpc/answer_budget.h"
#include "server/rpc/call_frame.h"
#include "storage/clock.h"
#include "tranche/v1/reconciliation.pb.h"

namespace tranche::server {

// About what two pages take, and the bytes that gRPC sends of one.
inline constexpr int64_t kExportBytes = int64_t{2} << 20;

class OpenExports;

// Keeps itself alive until gRPC is done with it.
class ExportStream final : public grpc::ServerWriteReactor<v1::ExportPaymentsResponse> {
 public:
  // The reactor to hand to gRPC. Frame, handler and `open` outlive it; `open` may be null: then nobody looks at it.
  static ExportStream* Start(const CallContext& call, const CallFrame& frame, PaymentHandler* handler,
                             OpenExports* open, const v1::ExportPaymentsRequest& request);

  // Cancels the call if its caller may not export any more and takes nothing since `latest`.
  void Check(absl::Time latest);

  void OnWriteDone(bool ok) override;
  void OnDone() override;

 private:
  ExportStream(const CallContext& call, storage::Clock* clock, storage::Executor* executor, PaymentHandler* handler)
      : call_(call), clock_(clock), executor_(executor), handler_(handler), access_(call) {}

  // What is wrong with the request, or OVERLOADED.
  absl::Status Begin(AnswerBudget* answers, const v1::ExportPaymentsRequest& request);
  // On the executor. The caller must still be allowed to, for each page.
  void Read();
  // Notes what has happened, then starts what can start, or finishes. All under one lock: what is noted may be the last
  // thing, and another thread may then delete this.
  void GoOn(absl::FunctionRef<void()> note);

  const CallContext call_;
  storage::Clock* const clock_;
  storage::Executor* const executor_;
  PaymentHandler* const handler_;
  std::unique_ptr<AnswerShare> share_;  // absent if the call was refused, or nothing is counted
  // Set at the start, cleared in OnDone: the reference that keeps this alive for gRPC.
  std::shared_ptr<ExportStream> self_;

  absl::Mutex mutex_;
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time writing_since_ ABSL_GUARDED_BY(mutex_);
  bool revoked_ ABSL_GUARDED_BY(mutex_) = false;  // the caller may not export any more
  // Check is cancelling the call, which must not be finished meanwhile: its context would vanish.
  bool cancelling_ ABSL_GUARDED_BY(mutex_) = false;
  StandingAccess access_;                // used by Read while `reading_`, otherwise under the lock
  PaymentHandler::ExportCursor cursor_;  // used by Read while `reading_`
  v1::ExportPaymentsResponse page_;      // used by gRPC while `writing_`
  std::optional<v1::ExportPaymentsResponse> next_page_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);  // once the pages that were read are written
};

// The exports that are open, to look at them now and then. Thread-safe.
class OpenExports {
 public:
  // CheckAll forgets those that have ended.
  void Add(std::weak_ptr<ExportStream> stream);
  // ExportStream::Check of all, on this thread.
  void CheckAll(absl::Time latest);

 private:
  absl::Mutex mutex_;
  std::vector<std::weak_ptr<ExportStream>> streams_ ABSL_GUARDED_BY(mutex_);  // some may have ended
};

}  // namespace tranche::server
