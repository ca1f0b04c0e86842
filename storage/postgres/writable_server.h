// Whether the server takes changes, looked at when a process starts.
#pragma once

#include "absl/status/statusor.h"
#include "storage/postgres/connection_pool.h"

namespace tranche::storage {

// False if a new session of the pool may only read: the server is a standby, or was made read-only. Otherwise the
// pool's errors.
absl::StatusOr<bool> TakesChanges(ConnectionPool& pool);

}  // namespace tranche::storage
