// What applies to a method whatever the request. Each service states it in its table (call_table.h).
#pragma once

#include <cstdint>
#include <optional>

#include "server/repeatable.h"

namespace tranche::server {

enum class CallKind : uint8_t;  // open_calls.h

// Who a method is for. This refuses nothing yet, because callers are not authenticated. Once they are, the frame
// (call_frame.h) will refuse for all methods at once.
enum class Role : uint8_t {
  kBuyer,     // their own reservations
  kShop,      // everybody's reservations, and payments
  kObserver,  // looks at everything, changes nothing
  kOperator,  // changes stock, quota, nodes, sinks and shards
};

// Where a method's handler runs.
enum class RunsOn : uint8_t {
  kInline,  // on gRPC's threads: it must not block
  kAdmin,   // on a few threads for calls that block
  kMove,    // on the one thread for moves of SKUs, which take long
  kStatus,  // on two threads for calls that block for less than a second: they do not wait behind kAdmin
};

// Only the last argument has a default: a method without a role does not compile.
struct CallPolicy {
  constexpr CallPolicy(const char* method, Role role, RunsOn runs_on, Repeatable repeatable,
                       std::optional<CallKind> counted_as = std::nullopt)
      : method(method), role(role), runs_on(runs_on), repeatable(repeatable), counted_as(counted_as) {}

  const char* method;  // as in the .proto, without the service; static
  Role role;
  RunsOn runs_on;
  Repeatable repeatable;
  std::optional<CallKind> counted_as;  // by OpenCalls
};

// Whether a call of this method changes nothing, so that it may be refused also after its work.
bool OnlyReads(const CallPolicy& policy);

}  // namespace tranche::server
