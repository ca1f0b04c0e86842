#include "server/rpc/call_context.h"

#include <grpc/grpc.h>

#include <memory>

#include "absl/strings/string_view.h"
#include "glog/logging.h"
#include "server/plain_utf8.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/trace_parent.h"

namespace tranche::server {
namespace {

// Metadata may hold more than printable ASCII only under a key that ends in -bin.
constexpr const char* kActorKeys[] = {"tranche-actor-bin", "tranche-actor"};
constexpr char kTraceKey[] = "traceparent";
constexpr size_t kMaxActorBytes = 128;

}  // namespace

const grpc::string_ref* CallContext::Metadata(const char* key) const {
  const auto found = context_->client_metadata().find(key);
  return found == context_->client_metadata().end() ? nullptr : &found->second;
}

std::string CallContext::actor() const {
  for (const char* const key : kActorKeys) {
    const grpc::string_ref* const given = Metadata(key);
    if (given == nullptr) continue;
    std::string actor(given->data(), given->size());
    if (!actor.empty() && actor.size() <= kMaxActorBytes && IsPlainUtf8(actor)) return actor;
  }
  return peer();
}

std::string CallContext::trace_id() const {
  const grpc::string_ref* given = Metadata(kTraceKey);
  return given == nullptr ? "" : std::string(TraceIdOf({given->data(), given->size()}));
}

std::function<void()> CallContext::Canceller() const {
  // The context goes with the call, but what gRPC cancels has references.
  grpc_call* const call = context_->c_call();
  grpc_call_ref(call);
  return [kept = std::shared_ptr<grpc_call>(call, grpc_call_unref)] {
    grpc_call_cancel_with_status(kept.get(), GRPC_STATUS_CANCELLED, "Cancelled on the server side", nullptr);
  };
}

grpc::Status CallContext::Conclude(const absl::Status& outcome) const {
  if (outcome.ok()) {
    meter_.End(grpc::StatusCode::OK);
    return grpc::Status::OK;
  }
  // No error of ours has this code.
  if (absl::IsCancelled(outcome)) {
    meter_.End(grpc::StatusCode::CANCELLED);
    return grpc::Status::CANCELLED;
  }
  AddPushback(outcome, context_);
  grpc::Status answer = ToGrpcStatus(outcome);
  meter_.End(answer.error_code());
  // The cause is logged where it occurred. Logged at a bounded rate: writing a flood of lines would delay other
  // answers.
  LOG_IF_EVERY_N(ERROR, answer.error_code() == grpc::StatusCode::INTERNAL, 100)
      << policy_->method << " of " << actor() << " met an internal error (one in 100 is logged); trace '" << trace_id()
      << "'";
  // This code is only used for an unknown outcome of a call that must not be repeated.
  LOG_IF(DFATAL, answer.error_code() == grpc::StatusCode::UNKNOWN && policy_->repeatable == Repeatable::kYes)
      << policy_->method << " is not repeatable, whatever its table says";
  return answer;
}

}  // namespace tranche::server
