// What applies to a method whatever the request. Each service states it in its table (call_table.h).
#pragma once

#include <cstdint>
#include <optional>

#include "server/access/permission.h"
#include "server/repeatable.h"

namespace tranche::server {

enum class CallKind : uint8_t;  // open_calls.h

// Where a method's handler runs.
enum class RunsOn : uint8_t {
  kInline,    // on gRPC's threads: it must not block
  kAdmin,     // on a few threads for calls that block
  kMove,      // on the one thread for moves of SKUs, which take long
  kStatus,    // on two threads for calls that block for less than a second: they do not wait behind kAdmin
  kLongRead,  // on two threads for reads that may take minutes: what changes something does not wait behind them
};

// Only the last argument has a default: a method without a permission does not compile.
struct CallPolicy {
  constexpr CallPolicy(const char* method, Permission permission, RunsOn runs_on, Repeatable repeatable,
                       std::optional<CallKind> counted_as = std::nullopt)
      : method(method), permission(permission), runs_on(runs_on), repeatable(repeatable), counted_as(counted_as) {}

  // The same for a method of this service (with its package, as in the .proto; static).
  constexpr CallPolicy Of(const char* service_name) const {
    CallPolicy served = *this;
    served.service = service_name;
    return served;
  }

  const char* service = "";  // "" in a table, which does not say whose it is; the frame does
  const char* method;        // as in the .proto, without the service; static
  Permission permission;     // what its callers need, if the node has an access file
  RunsOn runs_on;
  Repeatable repeatable;
  std::optional<CallKind> counted_as;  // by OpenCalls
};

// Whether a call of this method changes nothing, so that it may be refused also after its work.
bool OnlyReads(const CallPolicy& policy);

// Whether a call of this method pays for a reservation, or gives it back.
bool SettlesReservation(const CallPolicy& policy);

}  // namespace tranche::server
