// One ExportPayments call.
//
//   read a page (on the executor, because it blocks) -> write it -> when it is written, read the next
//
// So a caller who reads slowly is held back by HTTP/2 flow control, and nothing waits for him but his own stream:
// between two pages it holds no thread, no connection and no transaction.
#pragma once

#include <grpcpp/support/server_callback.h>

#include "server/handlers/payment_handler.h"
#include "storage/executor.h"
#include "tranche/v1/reconciliation.pb.h"

namespace tranche::server {

// Deletes itself when gRPC is done with it.
class ExportStream final : public grpc::ServerWriteReactor<v1::ExportPaymentsResponse> {
 public:
  // The reactor to hand to gRPC. Handler and executor outlive it.
  static ExportStream* Start(PaymentHandler* handler, storage::Executor* executor, grpc::CallbackServerContext* context,
                             const v1::ExportPaymentsRequest& request);

  void OnWriteDone(bool ok) override;
  void OnDone() override { delete this; }

 private:
  ExportStream(PaymentHandler* handler, storage::Executor* executor, grpc::CallbackServerContext* context)
      : handler_(handler), executor_(executor), context_(context) {}

  void ReadNext();
  void FinishWith(const absl::Status& status);

  // One thing happens at a time: either a page is read or it is written.
  PaymentHandler* const handler_;
  storage::Executor* const executor_;
  grpc::CallbackServerContext* const context_;
  PaymentHandler::ExportCursor cursor_;
  v1::ExportPaymentsResponse page_;
};

}  // namespace tranche::server
