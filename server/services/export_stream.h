// One ExportPayments call.
//
//   read a page (on the executor, because it blocks) -> write it -> when it is written, read the next
//
// So HTTP/2 flow control holds back a caller who reads slowly, and only their own stream waits for them: between two
// pages it holds no thread, no connection and no transaction.
#pragma once

#include <grpcpp/support/server_callback.h>

#include "server/handlers/payment_handler.h"
#include "server/rpc/call_frame.h"
#include "tranche/v1/reconciliation.pb.h"

namespace tranche::server {

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
      : call_(call), executor_(executor), handler_(handler) {}

  void ReadNext();

  // Only one thing happens at a time: a page is being read or being written.
  const CallContext call_;
  storage::Executor* const executor_;
  PaymentHandler* const handler_;
  PaymentHandler::ExportCursor cursor_;
  v1::ExportPaymentsResponse page_;
};

}  // namespace tranche::server
