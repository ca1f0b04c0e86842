#include "server/rpc/call_frame.h"

#include "server/errors.h"
#include "server/rpc/grpc_status.h"

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
  }
  return nullptr;
}

absl::Status ExecutorFull() {
  return MakeError(v1::ERROR_REASON_OVERLOADED, "Too many calls wait here; try again shortly.");
}

}  // namespace tranche::server
