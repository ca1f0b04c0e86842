// The steps that every call of a service goes through, whatever it is about:
//
//   counted -> who calls, and may they -> deadline -> counted as open -> has the caller room -> the handler, where the
//   table says -> counted as answered -> status, pushback
//
// call_table.h puts the methods into it.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/descriptor.h"
#include "server/access/access_control.h"
#include "server/rpc/access_log.h"
#include "server/rpc/answer_budget.h"
#include "server/rpc/call_context.h"
#include "server/rpc/call_deadline.h"
#include "server/rpc/call_metrics.h"
#include "server/rpc/caller_calls.h"
#include "server/rpc/open_calls.h"
#include "storage/clock.h"
#include "storage/executor.h"

namespace tranche::server {

// For one service. All that it points to outlives the service. Thread-safe.
struct CallFrame {
  // With its package, as in the .proto; static. CallService sets it.
  const char* service = "";
  storage::Clock* clock = nullptr;
  // Absent: a call without a deadline may take any time.
  std::optional<CallDeadlines> deadlines = std::nullopt;
  // Counts the methods that are to be counted; may be absent if there are none.
  OpenCalls* open_calls = nullptr;
  // Bounds how many unary calls a caller has open. Absent: they have no bound.
  CallerCalls* caller_calls = nullptr;
  // Counts every call, by method; may be absent.
  CallMetrics* metrics = nullptr;
  // Counts what callers do not take of large answers to unary calls. Absent: those have no bound.
  AnswerBudget* answers = nullptr;
  // The same for exports, so that those that nobody reads stop only each other.
  AnswerBudget* exports = nullptr;
  // Hears of the end of every call. Absent: calls have no lines in the log.
  AccessLog* access_log = nullptr;
  // Says who may call which method. Absent: everybody may call all.
  AccessControl* access = nullptr;
  // May be absent if no method runs on it.
  storage::Executor* admin_executor = nullptr;
  storage::Executor* move_executor = nullptr;
  storage::Executor* status_executor = nullptr;
  storage::Executor* long_read_executor = nullptr;

  // The deadline of a unary call. DEADLINE_REQUIRED, or DEADLINE_PASSED when it came too late.
  absl::StatusOr<absl::Time> Admit(const grpc::CallbackServerContext& context) const;
  // Streams may have no deadline, and do not check one when they begin.
  CallContext ContextOfStream(grpc::CallbackServerContext* context, const CallPolicy& policy,
                              MethodMetrics* metrics) const;

  // The answer to a call whose request cannot be read as `type`. Counts the call. Who may not make it hears only that.
  grpc::Status RefuseUnreadable(grpc::CallbackServerContext* context, const CallPolicy& policy, MethodMetrics* metrics,
                                const google::protobuf::Descriptor& type) const;

  // Where a call of this policy runs; nullptr for inline.
  storage::Executor* ExecutorFor(const CallPolicy& policy) const;
};

// OVERLOADED: the executor has no room.
absl::Status ExecutorFull();

}  // namespace tranche::server
