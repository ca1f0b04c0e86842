// Refuses calls whose message cannot be read. gRPC by itself answers them with UNIMPLEMENTED and without details, as if
// the method were unknown.
#pragma once

#include <grpcpp/impl/codegen/server_callback_handlers.h>
#include <grpcpp/impl/rpc_service_method.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "google/protobuf/descriptor.h"

namespace tranche::server {

// INVALID_ARGUMENT, FIELD_INVALID. `type` is the one that the request should have had.
absl::Status UnreadableRequest(const google::protobuf::Descriptor& type);
grpc::Status MalformedRequest(const google::protobuf::Descriptor& type);

// Two handlers of one method: `serve` for requests that could be read, `refuse` for the others.
class RequestGate final : public grpc::internal::MethodHandler {
 public:
  // Of the same class, because `refuse` is given what `serve` has made of the request.
  template <typename Handler>
  RequestGate(std::unique_ptr<Handler> serve, std::unique_ptr<Handler> refuse)
      : serve_(std::move(serve)), refuse_(std::move(refuse)) {}

  void* Deserialize(grpc_call* call, grpc_byte_buffer* request, grpc::Status* status, void** handler_data) override;
  void RunHandler(const HandlerParameter& call) override;

 private:
  const std::unique_ptr<grpc::internal::MethodHandler> serve_;
  const std::unique_ptr<grpc::internal::MethodHandler> refuse_;
};

// What the caller of such a request is told.
using Refuse = std::function<grpc::Status(grpc::CallbackServerContext*)>;

template <typename Request, typename Response>
std::unique_ptr<RequestGate> RefuseMalformed(
    std::unique_ptr<grpc::internal::CallbackUnaryHandler<Request, Response>> serve, Refuse refusal) {
  auto refuse = std::make_unique<grpc::internal::CallbackUnaryHandler<Request, Response>>(
      [refusal = std::move(refusal)](grpc::CallbackServerContext* context, const Request*, Response*) {
        grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
        reactor->Finish(refusal(context));
        return reactor;
      });
  return std::make_unique<RequestGate>(std::move(serve), std::move(refuse));
}

// Ends with `status`, and deletes itself.
template <typename Response>
class RefusedStream final : public grpc::ServerWriteReactor<Response> {
 public:
  explicit RefusedStream(const grpc::Status& status) { this->Finish(status); }
  void OnDone() override { delete this; }
};

template <typename Request, typename Response>
std::unique_ptr<RequestGate> RefuseMalformed(
    std::unique_ptr<grpc::internal::CallbackServerStreamingHandler<Request, Response>> serve, Refuse refusal) {
  auto refuse = std::make_unique<grpc::internal::CallbackServerStreamingHandler<Request, Response>>(
      [refusal = std::move(refusal)](grpc::CallbackServerContext* context, const Request*) {
        return new RefusedStream<Response>(refusal(context));
      });
  return std::make_unique<RequestGate>(std::move(serve), std::move(refuse));
}

}  // namespace tranche::server
