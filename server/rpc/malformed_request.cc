#include "server/rpc/malformed_request.h"

#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "server/rpc/grpc_status.h"

namespace tranche::server {

absl::Status UnreadableRequest(const google::protobuf::Descriptor& type) {
  return InvalidField("request", absl::StrCat("cannot be read as ", type.full_name(),
                                              ": its bytes are no such message, or a string in it is not UTF-8"));
}

grpc::Status MalformedRequest(const google::protobuf::Descriptor& type) {
  return ToGrpcStatus(UnreadableRequest(type));
}

void* RequestGate::Deserialize(grpc_call* call, grpc_byte_buffer* request, grpc::Status* status, void** handler_data) {
  return serve_->Deserialize(call, request, status, handler_data);
}

void RequestGate::RunHandler(const HandlerParameter& call) {
  if (call.status.ok()) return serve_->RunHandler(call);
  // The handlers of gRPC look at the status before they ask for a reactor.
  refuse_->RunHandler(HandlerParameter(call.call, call.server_context, call.request, grpc::Status::OK,
                                       call.internal_data, call.call_requester));
}

}  // namespace tranche::server
