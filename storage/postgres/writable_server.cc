#include "storage/postgres/writable_server.h"

#include <exception>
#include <pqxx/pqxx>
#include <string>

#include "storage/base/status_macros.h"

namespace tranche::storage {

absl::StatusOr<bool> TakesChanges(ConnectionPool& pool) {
  ASSIGN_OR_RETURN(auto lease, pool.Acquire());
  try {
    pqxx::nontransaction query(lease->pq);
    return query.exec1("SHOW transaction_read_only")[0].as<std::string>() == "off";
  } catch (const std::exception& error) {
    return lease.Failed(error);
  }
}

}  // namespace tranche::storage
