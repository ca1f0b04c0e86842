#include "server/rpc/call_frame.h"

#include "server/errors.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/malformed_request.h"

namespace tranche::server {

absl::StatusOr<absl::Time> CallFrame::Admit(const grpc::CallbackServerContext& context) const {
  const absl::Time now = clock->Now();
  const std::optional<absl::Time> given = DeadlineOf(context);
  absl::StatusOr<absl::Time> deadline = given.value_or(absl::InfiniteFuture());
  if (deadlines.has_value()) deadline = EffectiveDeadline(*deadlines, given, now);
  if (deadline.ok() && now >= *deadline) return DeadlinePassed();
  return deadline;
}

CallContext CallFrame::ContextOfStream(grpc::CallbackServerContext* context, const CallPolicy& policy,
                                       MethodMetrics* metrics) const {
  return CallContext(context, &policy, DeadlineOf(*context).value_or(absl::InfiniteFuture()), CallMeter(metrics),
                     access_log);
}

grpc::Status CallFrame::RefuseUnreadable(grpc::CallbackServerContext* context, const CallPolicy& policy,
                                         MethodMetrics* metrics, const google::protobuf::Descriptor& type) const {
  const CallMeter meter(metrics);
  CallContext call(context, &policy, absl::InfinitePast(), CallMeter(), nullptr);
  const absl::Status allowed = call.Authorize(access);
  grpc::Status answer = allowed.ok() ? MalformedRequest(type) : ToGrpcStatus(allowed);
  meter.End(answer.error_code());
  return answer;
}

storage::Executor* CallFrame::ExecutorFor(const CallPolicy& policy) const {
  switch (policy.runs_on) {
    case RunsOn::kInline:
      return nullptr;
    case RunsOn::kAdmin:
      return admin_executor;
    case RunsOn::kMove:
      return move_executor;
    case RunsOn::kStatus:
      return status_executor;
    case RunsOn::kLongRead:
      return long_read_executor;
  }
  return nullptr;
}

absl::Status ExecutorFull() {
  return MakeError(v1::ERROR_REASON_OVERLOADED, "Too many calls wait here; try again shortly.");
}

}  // namespace tranche::server
