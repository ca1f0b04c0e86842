// How much memory answers may take that callers do not take.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "server/process/options.h"
#include "server/rpc/answer_budget.h"

namespace tranche::server {

// Buyers' calls, operators' calls and exports have a budget each, so that callers of the one cannot keep the others
// from being answered.
inline AnswerLimits AnswerLimitsOf(const ServerOptions& options) {
  constexpr int64_t kMib = 1024 * 1024;
  return {.node_bytes = options.unread_memory_mib * kMib,
          .address_bytes = options.unread_memory_per_address_mib * kMib,
          .connection_bytes = options.unread_memory_per_connection_mib * kMib,
          .unread_timeout = absl::Milliseconds(options.unread_timeout_ms)};
}

}  // namespace tranche::server
