// Ends a process that does not end by itself.
#pragma once

#include <memory>

#include "absl/time/time.h"
#include "server/process/delayed_task.h"

namespace tranche::server {

// The process exits with status 3 six seconds after `timeout`, unless what is returned is destroyed before. It is not
// known what is stuck then, and nothing is lost: what was acknowledged is committed, and the balancer reclaims the
// units.
std::unique_ptr<DelayedTask> EndProcessAfter(absl::Duration timeout);

}  // namespace tranche::server
