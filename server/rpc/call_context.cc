#include "server/rpc/call_context.h"

#include <grpc/grpc.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "glog/logging.h"
#include "server/errors.h"
#include "server/method_name.h"
#include "server/plain_utf8.h"
#include "server/rpc/caller_credentials.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/peer_address.h"
#include "server/trace_parent.h"
#include "storage/base/access_policy.h"
#include "storage/base/log_event.h"

namespace tranche::server {
namespace {

// Metadata may hold more than printable ASCII only under a key that ends in -bin.
constexpr const char* kActorKeys[] = {"tranche-actor-bin", "tranche-actor"};
constexpr const char* kReasonKeys[] = {"tranche-reason-bin", "tranche-reason"};
constexpr char kTraceKey[] = "traceparent";
constexpr char kRequestKey[] = "x-request-id";
constexpr char kForwardedKey[] = "x-forwarded-for";
constexpr size_t kMaxActorBytes = 128;
constexpr size_t kMaxReasonBytes = 4 * storage::kMaxReasonChars;
constexpr size_t kMaxRequestIdBytes = 128;

// Of UTF-8: bytes that do not continue a character.
int CountChars(absl::string_view text) {
  return static_cast<int>(
      absl::c_count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

bool IsRequestId(const grpc::string_ref& text) {
  return !text.empty() && text.size() <= kMaxRequestIdBytes && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isgraph(static_cast<unsigned char>(c));
  });
}

// Not in the middle of a character.
std::string CutText(std::string text) {
  if (text.size() <= kMaxActorBytes) return text;
  size_t end = kMaxActorBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
  return text;
}

// What somebody calls themselves for whom no principal stands: it must not look as if one did.
std::string Unvouched(std::string name, bool with_principals) {
  constexpr char kAs[] = " as ";
  if (with_principals && !name.empty()) return CutText(absl::StrCat("unknown", kAs, name));
  return absl::StrContains(name, kAs) ? "" : name;
}

// As in the API's tables: RESOURCE_EXHAUSTED.
std::string CodeName(grpc::StatusCode code) {
  // The codes of absl and gRPC are the same numbers.
  return absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
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

// People compare names by eye.
std::string CallContext::DeclaredActor() const {
  std::string name = PlainText(kActorKeys, kMaxActorBytes);
  return IsVisibleUtf8(name) ? name : "";
}

storage::Actor CallContext::actor() const {
  std::string name = DeclaredActor();
  if (caller_ == nullptr) name = Unvouched(std::move(name), access_ != nullptr);
  std::string reason = PlainText(kReasonKeys, kMaxReasonBytes);
  if (CountChars(reason) > storage::kMaxReasonChars || HasDirectionMarks(reason)) reason.clear();
  if (caller_ == nullptr) return {name.empty() ? AddressOfPeer(peer()) : std::move(name), std::move(reason)};
  return {name.empty() ? caller_->name : CutText(absl::StrCat(caller_->name, " as ", name)), std::move(reason)};
}

std::string CallContext::caller() const {
  const bool known = caller_ != nullptr && caller_->name != kAnonymousName;
  return known ? caller_->name : AddressOfPeer(peer());
}

absl::Status CallContext::AskAccess(AccessControl* access) {
  AccessControl::Verdict verdict = access->Judge(CredentialsOf(*context_), policy_->permission, policy_->method);
  access_ = access;
  access_generation_ = verdict.generation;
  caller_ = std::move(verdict.caller);
  if (!verdict.allowed.ok()) NoteDenial(policy_->permission);
  return std::move(verdict.allowed);
}

absl::Status CallContext::AuthorizeMore(Permission permission, const char* what) const {
  if (access_ == nullptr) return absl::OkStatus();
  AccessControl::Verdict verdict = access_->Judge(CredentialsOf(*context_), permission, what);
  if (verdict.allowed.ok()) return absl::OkStatus();
  CallContext denied = *this;
  denied.caller_ = std::move(verdict.caller);
  denied.NoteDenial(permission);
  return std::move(verdict.allowed);
}

void CallContext::NoteDenial(Permission permission) const {
  storage::Actor who = actor();
  access_->denials().Note({.service = policy_->service,
                           .method = policy_->method,
                           .permission = permission,
                           .known = caller_ != nullptr,
                           .caller = caller_ == nullptr ? AddressOfPeer(peer()) : caller_->name,
                           .actor = std::move(who.name),
                           .reason = std::move(who.reason)});
}

std::string CallContext::forwarded_for() const {
  std::string list;
  const auto [begin, end] = context_->client_metadata().equal_range(kForwardedKey);
  for (auto header = begin; header != end; ++header) {
    const absl::string_view value(header->second.data(), header->second.size());
    absl::StrAppend(&list, list.empty() ? "" : ", ", value);
  }
  return list;
}

std::string CallContext::trace_id() const {
  const grpc::string_ref* given = Metadata(kTraceKey);
  return given == nullptr ? "" : std::string(TraceIdOf({given->data(), given->size()}));
}

TraceTag CallContext::trace() const {
  const grpc::string_ref* const given = Metadata(kTraceKey);
  const grpc::string_ref* const request = Metadata(kRequestKey);
  if (given == nullptr && request == nullptr) return nullptr;
  LogTrace trace;
  trace.trace_id = trace_id();
  if (!trace.trace_id.empty()) trace.traceparent.assign(given->data(), given->size());
  if (request != nullptr && IsRequestId(*request)) trace.request_id.assign(request->data(), request->size());
  if (trace.trace_id.empty() && trace.request_id.empty()) return nullptr;
  return std::make_shared<const LogTrace>(std::move(trace));
}

std::function<void()> CallContext::Canceller() const {
  // The context goes with the call, but what gRPC cancels has references.
  grpc_call* const call = context_->c_call();
  grpc_call_ref(call);
  return [kept = std::shared_ptr<grpc_call>(call, grpc_call_unref)] {
    grpc_call_cancel_with_status(kept.get(), GRPC_STATUS_CANCELLED, "Cancelled on the server side", nullptr);
  };
}

grpc::Status CallContext::Conclude(const absl::Status& outcome, const absl::Status& told) const {
  grpc::Status answer = grpc::Status::OK;
  if (absl::IsCancelled(outcome)) {
    // No error of ours has this code.
    answer = grpc::Status::CANCELLED;
  } else if (!outcome.ok()) {
    AddPushback(outcome, context_);
    answer = ToGrpcStatus(outcome);
    LogFault(outcome, answer);
  }
  meter_.End(answer.error_code());
  if (access_log_ != nullptr) LogAccess(answer.error_code(), outcome.ok() ? told : outcome);
  return answer;
}

// The cause is logged where it occurred. Logged at a bounded rate: writing a flood of lines would delay other answers.
void CallContext::LogFault(const absl::Status& outcome, const grpc::Status& answer) const {
  const grpc::StatusCode code = answer.error_code();
  // This code is only used for an unknown outcome of a call that must not be repeated.
  LOG_IF(DFATAL, code == grpc::StatusCode::UNKNOWN && policy_->repeatable == Repeatable::kYes)
      << policy_->method << " is not repeatable, whatever its table says";
  const bool internal = code == grpc::StatusCode::INTERNAL;
  // To read the reason costs, so it is read only where an outcome may be unknown and somebody looks for it.
  if (!internal && code != grpc::StatusCode::UNAVAILABLE && code != grpc::StatusCode::UNKNOWN) return;
  const TraceTag tag = trace();
  const ScopedTrace scope(tag);
  LOG_IF_EVERY_N(ERROR, internal, 100) << policy_->method << " of " << actor()
                                       << " met an internal error (one in 100 is logged); trace '"
                                       << (tag == nullptr ? "" : tag->trace_id) << "'";
  // Only for callers who want to find the line again.
  const bool unknown = !internal && tag != nullptr && ReasonName(outcome) == "COMMIT_UNKNOWN";
  LOG_IF_EVERY_N(WARNING, unknown, 100) << policy_->method << " of " << actor()
                                        << " ends with an unknown outcome (one in 100 is logged)";
}

void CallContext::LogAccess(grpc::StatusCode code, const absl::Status& why) const {
  if (!access_log_->Takes(code)) return;
  const ScopedTrace scope(trace());
  std::vector<LogField> fields = {{"method", MethodName(policy_->service, policy_->method)},
                                  {"code", CodeName(code)},
                                  {"ms", absl::ToDoubleMilliseconds(access_log_->Now() - began_at_)},
                                  {"peer", peer()}};
  if (caller_ != nullptr) fields.push_back({"caller", caller_->name});
  if (!why.ok()) fields.push_back({"reason", ReasonName(why)});
  if (reservation_id_ != nullptr && !reservation_id_->empty()) fields.push_back({"reservation", *reservation_id_});
  LogEvent("call", std::move(fields));
}

}  // namespace tranche::server
