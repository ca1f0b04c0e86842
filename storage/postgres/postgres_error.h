// The only place that turns libpqxx's exceptions into statuses. What each SQLSTATE means is in sql_state.h.
#pragma once

#include <exception>
#include <string>

#include "absl/status/status.h"
#include "storage/postgres/sql_state.h"

namespace tranche::storage {

struct PostgresError {
  absl::Status status;      // its message names the SQLSTATE and the remedy where there is one
  std::string sqlstate;     // "" if there is none
  const SqlState* meaning;  // never nullptr
};

// Translates an exception caught around a single statement in autocommit mode. If the connection broke before the
// statement was sent, pass `sent == false`: nothing happened. After that the outcome is unknown, whatever was lost.
// `libpq_says`: ServerConnection::LastError, the text to show if the connection was lost; may be empty.
PostgresError TranslatePostgresError(const std::exception& error, bool sent, const std::string& libpq_says = "");

// The same for one that was caught while a connection was being made: always NotReachedError.
PostgresError TranslateConnectError(const std::exception& error);

}  // namespace tranche::storage
