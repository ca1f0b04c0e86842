// Breaks a call off, even one whose caller takes nothing of what was written.
#pragma once

#include "absl/status/status.h"
#include "server/rpc/call_context.h"

struct grpc_call;

namespace tranche::server {

// Made while the call is not done; may be used after it is. It exists because the call's context may vanish at any
// moment on another thread.
class CallBreaker {
 public:
  explicit CallBreaker(const CallContext& call);
  ~CallBreaker();
  CallBreaker(const CallBreaker&) = delete;
  CallBreaker& operator=(const CallBreaker&) = delete;

  // The caller gets the code and the message, without details and ahead of what was written but not taken. On this side
  // the call is cancelled. The call's reactor may be called meanwhile, on this thread too: hold no lock that it takes.
  void Break(const absl::Status& why);

 private:
  grpc_call* const call_;
};

}  // namespace tranche::server
