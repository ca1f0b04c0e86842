#include "storage/postgres/exposed_connection.h"

#include "storage/base/status_macros.h"

namespace tranche::storage {

absl::StatusOr<bool> IsExposed(ConnectionPool& pool) {
  ASSIGN_OR_RETURN(auto lease, pool.Acquire());
  return lease->pq.Exposed();
}

}  // namespace tranche::storage
