// One ExportPayments call.
//
//   read a page (on the executor, because it blocks) -> write it, and meanwhile read the next one
//
// So HTTP/2 flow control holds back a caller who reads slowly, and only their own stream waits for them: with one page
// being written and one read, it holds no thread, no connection and no transaction. These pages are counted as long as
// it is open (AnswerBudget).
#pragma once

#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/handlers/payment_handler.h"
#include "server/rpc/answer_budget.h"
#include "server/rpc/call_frame.h"
#include "tranche/v1/reconciliation.pb.h"

namespace tranche::server {

// About what two pages take, and the bytes that gRPC sends of one.
inline constexpr int64_t kExportBytes = int64_t{2} << 20;

// Deletes itself when gRPC is done with it.
class ExportStream final : public grpc::ServerWriteReactor<v1::ExportPaymentsResponse> {
 public:
  // The reactor to hand to gRPC. Frame and handler outlive it.
  static ExportStream* Start(const CallContext& call, const CallFrame& frame, PaymentHandler* handler,
                             const v1::ExportPaymentsRequest& request);

  void OnWriteDone(bool ok) override;
  void OnDone() override { delete this; }

 private:
  ExportStream(const CallContext& call, storage::Executor* executor, PaymentHandler* handler)
      : call_(call), access_(call), executor_(executor), handler_(handler) {}

  // What is wrong with the request, or OVERLOADED.
  absl::Status Begin(AnswerBudget* answers, const v1::ExportPaymentsRequest& request);
  // On the executor. The caller must still be allowed to, for each page.
  void Read();
  // Notes what has happened, then starts what can start, or finishes. All under one lock: what is noted may be the last
  // thing, and another thread may then delete this.
  void GoOn(absl::FunctionRef<void()> note);

  const CallContext call_;
  StandingAccess access_;  // of Read
  storage::Executor* const executor_;
  PaymentHandler* const handler_;
  std::unique_ptr<AnswerShare> share_;  // absent if the call was refused, or nothing is counted

  absl::Mutex mutex_;
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  PaymentHandler::ExportCursor cursor_;  // used by Read while `reading_`
  v1::ExportPaymentsResponse page_;      // used by gRPC while `writing_`
  std::optional<v1::ExportPaymentsResponse> next_page_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);  // once the pages that were read are written
};

}  // namespace tranche::server
