// How a unary call is answered.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/rpc/call_context.h"
#include "server/rpc/open_calls.h"

namespace tranche::server {

// A unary call that began. Exactly one of its copies must answer it, once, on any thread. Afterwards the reply, its
// context and the request must not be used.
//
// The reactor is gRPC's default one, which belongs to the call and lives until Finish has been sent, even if the caller
// has cancelled: an accepted claim is always decided, and only its answer is lost.
template <typename Response>
class Reply {
 public:
  // `open_calls` counts the answer if the method is counted.
  Reply(const CallContext& call, OpenCalls* open_calls, grpc::ServerUnaryReactor* reactor, Response* response)
      : call_(call), reactor_(reactor), response_(response) {
    if (!call.policy().counted_as.has_value()) return;
    open_calls_ = open_calls;
    open_call_ = open_calls->Begin(*call.policy().counted_as, call.deadline());
  }

  void operator()(absl::StatusOr<Response> answer) const {
    if (answer.ok()) *response_ = *std::move(answer);
    Finish(answer.status());
  }
  // Finishes with the response as it was filled in, or with an error.
  void Finish(const absl::Status& outcome) const {
    if (open_calls_ != nullptr) open_calls_->End(open_call_);
    reactor_->Finish(call_.Conclude(outcome));
  }

  const CallContext& call() const { return call_; }
  grpc::ServerUnaryReactor* reactor() const { return reactor_; }
  Response* response() const { return response_; }

 private:
  CallContext call_;
  OpenCalls* open_calls_ = nullptr;
  OpenCall open_call_;
  grpc::ServerUnaryReactor* reactor_;
  Response* response_;
};

}  // namespace tranche::server
