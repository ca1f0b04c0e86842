// Whether others can read what passes between this process and PostgreSQL, looked at when a process starts.
#pragma once

#include "absl/status/statusor.h"
#include "storage/postgres/connection_pool.h"

namespace tranche::storage {

// True if the server is on another machine and the connection is not encrypted. Uses one connection for a moment; fails
// with the pool's errors.
absl::StatusOr<bool> IsExposed(ConnectionPool& pool);

}  // namespace tranche::storage
