// Calls one function of the schema `tranche` in autocommit mode: one round trip, one transaction. The servers send no
// other SQL.
#pragma once

#include <exception>
#include <pqxx/pqxx>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "storage/ledger_error.h"
#include "storage/postgres/connection_pool.h"
#include "storage/postgres/postgres_error.h"

namespace tranche::storage {

// May the call be repeated when its answer was lost?
enum class Repeat { kNever, kIfAnswerLost };

inline std::string CallText(const char* function, int arguments) {
  std::string text = absl::StrCat("SELECT * FROM tranche.", function, "(");
  for (int i = 1; i <= arguments; ++i) absl::StrAppend(&text, i > 1 ? ",$" : "$", i);
  text.push_back(')');
  return text;
}

// Arguments are strings, integers, booleans or `const char*` where nullptr is NULL.
template <typename... Args>
absl::StatusOr<pqxx::result> CallOnce(ConnectionPool& pool, const char* function, const Args&... args) {
  auto lease = pool.Acquire();
  if (!lease.ok()) return lease.status();
  ConnectionPool::Connection& connection = **lease;
  try {
    if (connection.prepared.insert(function).second) {
      connection.pq.prepare(function, CallText(function, sizeof...(args)));
    }
    pqxx::nontransaction transaction(connection.pq);
    return transaction.exec_prepared(function, args...);
  } catch (const std::exception& error) {
    absl::Status status = TranslatePostgresError(error, /*sent=*/true);
    // A server that says what it refused is there, and so is the connection.
    const auto* const said = dynamic_cast<const pqxx::sql_error*>(&error);
    const bool refused = said != nullptr ? said->sqlstate() != "0A000" : IsRetryTransaction(status);
    if (!refused || status.code() == absl::StatusCode::kUnavailable) lease->MarkBroken();
    return status;
  }
}

// CallOnce, repeated a few times when the database asks for it (deadlock) and, with kIfAnswerLost, on a fresh
// connection when the answer was lost.
template <typename... Args>
absl::StatusOr<pqxx::result> Call(ConnectionPool& pool, Repeat repeat, const char* function, const Args&... args) {
  constexpr int kTries = 4;
  for (int attempt = 1;; ++attempt) {
    auto result = CallOnce(pool, function, args...);
    if (result.ok() || attempt == kTries) return result;
    const bool again =
        IsRetryTransaction(result.status()) || (repeat == Repeat::kIfAnswerLost && IsUnknownCommit(result.status()));
    if (!again) return result;
  }
}

}  // namespace tranche::storage
