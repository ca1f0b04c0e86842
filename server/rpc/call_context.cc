#include "server/rpc/call_context.h"

#include <grpc/grpc.h>

#include <memory>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/string_view.h"
#include "glog/logging.h"
#include "server/plain_utf8.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/trace_parent.h"

namespace tranche::server {
namespace {

// Metadata may hold more than printable ASCII only under a key that ends in -bin.
constexpr const char* kActorKeys[] = {"tranche-actor-bin", "tranche-actor"};
constexpr const char* kReasonKeys[] = {"tranche-reason-bin", "tranche-reason"};
constexpr char kTraceKey[] = "traceparent";
constexpr size_t kMaxActorBytes = 128;
constexpr size_t kMaxReasonBytes = 4 * storage::kMaxReasonChars;

// Of UTF-8: bytes that do not continue a character.
int CountChars(absl::string_view text) {
  return static_cast<int>(
      absl::c_count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

const grpc::string_ref* CallContext::Metadata(const char* key) const {
  const auto found = context_->client_metadata().find(key);
  return found == context_->client_metadata().end() ? nullptr : &found->second;
}

std::string CallContext::PlainText(const char* const (&keys)[2], size_t max_bytes) const {
  for (const char* const key : keys) {
    const grpc::string_ref* const given = Metadata(key);
    if (given == nullptr) continue;
    std::string text(given->data(), given->size());
    if (!text.empty() && text.size() <= max_bytes && IsPlainUtf8(text)) return text;
  }
  return "";
}

storage::Actor CallContext::actor() const {
  std::string name = PlainText(kActorKeys, kMaxActorBytes);
  std::string reason = PlainText(kReasonKeys, kMaxReasonBytes);
  if (CountChars(reason) > storage::kMaxReasonChars) reason.clear();
  return {name.empty() ? peer() : std::move(name), std::move(reason)};
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
  if (outcome.ok()) return grpc::Status::OK;
  AddPushback(outcome, context_);
  grpc::Status answer = ToGrpcStatus(outcome);
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
