// What every call of a service goes through, whatever it is about:
//
//   deadline -> counted as open -> the handler, where the table says -> counted as answered -> status, pushback
//
// call_table.h puts the methods into it.
#pragma once

#include <grpcpp/server_context.h>

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/rpc/call_context.h"
#include "server/rpc/call_deadline.h"
#include "server/rpc/open_calls.h"
#include "storage/clock.h"
#include "storage/executor.h"

namespace tranche::server {

// Of one service. All that it points to outlives the service. Thread-safe.
struct CallFrame {
  storage::Clock* clock = nullptr;
  // Absent: a call without a deadline may take as long as it does.
  std::optional<CallDeadlines> deadlines = std::nullopt;
  // Told of the methods that are counted; may be absent if none is.
  OpenCalls* open_calls = nullptr;
  // May be absent if no method runs there.
  storage::Executor* admin_executor = nullptr;
  storage::Executor* move_executor = nullptr;

  // Until when a unary call may take. DEADLINE_REQUIRED, or DEADLINE_PASSED when it came too late.
  absl::StatusOr<absl::Time> Admit(const grpc::CallbackServerContext& context) const;
  // Streams may be without a deadline, and check none when they begin.
  CallContext ContextOfStream(grpc::CallbackServerContext* context, const CallPolicy& policy) const;

  // Where a call of this policy runs; nullptr for inline.
  storage::Executor* ExecutorFor(const CallPolicy& policy) const;
};

// OVERLOADED: there is no room on the executor.
absl::Status ExecutorFull();

}  // namespace tranche::server
