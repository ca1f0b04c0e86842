// Who calls which method, and until when. Made once per call from gRPC's context; handlers get only what they need of
// it.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>
#include <grpcpp/support/status.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/access/access_control.h"
#include "server/access/permission.h"
#include "server/rpc/access_log.h"
#include "server/rpc/call_metrics.h"
#include "server/rpc/call_policy.h"
#include "storage/base/log_trace.h"
#include "storage/ledger/actor.h"

namespace tranche::server {

// A few pointers, cheap to copy. Valid until the call is finished: do not use it after that. Not thread-safe.
class CallContext {
 public:
  // `context` lives until the call is finished, `policy` longer.
  // `access_log` lives longer, too; null: calls have no lines.
  CallContext(grpc::CallbackServerContext* context, const CallPolicy* policy, absl::Time deadline, CallMeter meter,
              AccessLog* access_log)
      : context_(context), policy_(policy), deadline_(deadline), meter_(meter), access_log_(access_log) {
    if (access_log_ != nullptr) began_at_ = access_log_->Now();
  }

  // Asks who calls, and whether they may: CALLER_UNKNOWN or ROLE_MISSING if not, which is counted and told. Null:
  // everybody may. `access` lives until the call is finished. Before this, nobody is known to call.
  absl::Status Authorize(AccessControl* access) { return access == nullptr ? absl::OkStatus() : AskAccess(access); }
  // After that, of who asks for more than the method alone gives: whether they have this permission, too. `what`: that,
  // as errors name it; static.
  absl::Status AuthorizeMore(Permission permission, const char* what) const;

  const CallPolicy& policy() const { return *policy_; }
  // absl::InfiniteFuture() when there is none.
  absl::Time deadline() const { return deadline_; }
  bool cancelled() const { return context_->IsCancelled(); }

  // These parse what came with the call and allocate, so they are read only on demand: a sale does not need them.

  // Who is asking and why, for the audit log. Nothing else says who acts: this is the one place. Who is refused because
  // nobody knows them is "unknown as alice@laptop"; without an access file, a name with " as " in it does not count.
  //
  // If the node has an access file: the principal, such as "till-3", and if the caller names a person, too,
  // "till-3 as alice@laptop", cut after 128 bytes. Only the first word is authenticated. "anonymous" is who has shown
  // no credentials. Without an access file: what callers call themselves, otherwise the address that they call from,
  // without the port.
  //
  // The caller names themselves in "tranche-actor-bin" or "tranche-actor" (at most 128 bytes of visible UTF-8), and
  // their reason in "tranche-reason-bin" or "tranche-reason" (at most 200 characters of plain UTF-8 without marks of
  // direction).
  storage::Actor actor() const;
  // Whom a limit for each caller counts: the principal's name. Without an access file, and for who shows no
  // credentials, the address without the port: what one stranger does must not be another's.
  std::string caller() const;
  // As gRPC writes it, such as "ipv4:10.0.0.7:51234".
  std::string peer() const { return context_->peer(); }
  // What the header x-forwarded-for says, as one list: several of them are joined in their order. "" if there is none.
  std::string forwarded_for() const;
  // The caller's trace id; "" if they sent none, or a malformed one.
  std::string trace_id() const;
  // With the id of the header x-request-id, if that is 1 to 128 printable characters of ASCII without spaces. Null,
  // without an allocation, if the caller sent neither.
  TraceTag trace() const;

  // What the call is about, for the access log. `id` lives until the call is finished.
  void SetReservation(const std::string* id) { reservation_id_ = id; }

  // The status to finish the call with: OK, an error of errors.h, or kCancelled for a caller who is gone or takes
  // nothing. Adds "grpc-retry-pushback-ms" for gRPC clients that retry by themselves, counts the answer, and logs the
  // caller if the error is internal or the outcome unknown. Call it once, right before Finish. `told`: a refusal that
  // an OK answer carries, for the access log.
  grpc::Status Conclude(const absl::Status& outcome, const absl::Status& told = absl::OkStatus()) const;

  // Null: everybody may.
  AccessControl* access() const { return access_; }
  // Of the policy by which this call was allowed.
  uint64_t access_generation() const { return access_generation_; }

  // For the counts of a stream's messages.
  const CallMeter& meter() const { return meter_; }

  // Before the reactor has sent anything.
  void AddInitialMetadata(const std::string& key, const std::string& value) const {
    context_->AddInitialMetadata(key, value);
  }

  // Ends a call that is not finished from this side, whatever its caller does: pending reads and writes fail, and the
  // caller gets CANCELLED. The call must still be finished, and must not be before this returns. gRPC may call its
  // reactor meanwhile, on this thread too: hold no lock that the reactor takes.
  void TryCancel() const { context_->TryCancel(); }
  // For a unary call. Does the same whenever it is called, and on any thread: also when the call is finished, or even
  // gone.
  std::function<void()> Canceller() const;

  // gRPC's own for a unary call, which belongs to the call.
  grpc::ServerUnaryReactor* DefaultReactor() const { return context_->DefaultReactor(); }

 private:
  // nullptr when the call came without it.
  const grpc::string_ref* Metadata(const char* key) const;
  // The first of two keys with a text that fits; "" if there is none.
  std::string PlainText(const char* const (&keys)[2], size_t max_bytes) const;
  // Who called themselves so; "" if they did not.
  std::string DeclaredActor() const;
  absl::Status AskAccess(AccessControl* access);
  void NoteDenial(Permission permission) const;
  void LogFault(const absl::Status& outcome, const grpc::Status& answer) const;
  void LogAccess(grpc::StatusCode code, const absl::Status& why) const;

  grpc::CallbackServerContext* context_;
  const CallPolicy* policy_;
  absl::Time deadline_;
  CallMeter meter_;
  AccessLog* access_log_;
  absl::Time began_at_ = absl::InfinitePast();  // only for the access log
  const std::string* reservation_id_ = nullptr;
  AccessControl* access_ = nullptr;
  uint64_t access_generation_ = 0;
  std::shared_ptr<const Principal> caller_;  // null without an access file
};

// For a call that lasts: whether its caller still may, after the access file has changed. One thread at a time.
class StandingAccess {
 public:
  explicit StandingAccess(const CallContext& call) : generation_(call.access_generation()) {}

  // OK, or the error to end the call with. One load while the file stays the same. `call` is not finished.
  absl::Status Check(const CallContext& call) {
    if (call.access() == nullptr || call.access()->generation() == generation_) return absl::OkStatus();
    CallContext again = call;
    const absl::Status allowed = again.Authorize(call.access());
    generation_ = again.access_generation();
    return allowed;
  }

 private:
  uint64_t generation_;
};

}  // namespace tranche::server
