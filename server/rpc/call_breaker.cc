#include "server/rpc/call_breaker.h"

#include <grpc/grpc.h>

#include <string>

namespace tranche::server {

CallBreaker::CallBreaker(const CallContext& call) : call_(call.context_->c_call()) { grpc_call_ref(call_); }

CallBreaker::~CallBreaker() { grpc_call_unref(call_); }

void CallBreaker::Break(const absl::Status& why) {
  // The codes of absl and gRPC are the same numbers.
  grpc_call_cancel_with_status(call_, static_cast<grpc_status_code>(why.code()), std::string(why.message()).c_str(),
                               nullptr);
}

}  // namespace tranche::server
