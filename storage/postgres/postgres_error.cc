#include "storage/postgres/postgres_error.h"

#include <pqxx/except>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::storage {
namespace {

// A server's message has several lines; a log line and an operator want one.
std::string OneLine(const std::string& text) {
  std::string line;
  for (const char c : text) line.push_back(c == '\n' || c == '\t' ? ' ' : c);
  return std::string(absl::StripSuffix(line, " "));
}

absl::Status FromSqlState(const std::string& state, const std::string& message) {
  // Ours: a value is not the one that the caller expected.
  if (state == "TR001") return absl::AbortedError(message);
  // A SKU or a shard is not in the state that the call wants.
  if (state == "TR002") return absl::FailedPreconditionError(message);
  // Ours: a reservation that has ended does not change.
  if (state == "TR003") return absl::FailedPreconditionError(message);
  // Ours: the SKU is on its way to another shard. Nothing happened; the call can be tried again at the other shard.
  if (state == "TR004") return SkuMovingError(message);
  // Classes: 22 data exception, 23 constraint, 42 syntax or access, 3D/3F catalog or schema missing.
  if (absl::StartsWith(state, "22") || absl::StartsWith(state, "23")) return absl::InvalidArgumentError(message);
  if (state == "42883" || state == "42P01" || state == "3F000") {
    return absl::FailedPreconditionError(
        absl::StrCat(message, "; the database has not been migrated: run tranche-migrate"));
  }
  // A migration changed what a prepared statement or a function under way answers: nothing happened.
  if (IsOutdatedPlan(state)) return RetryTransactionError(message);
  if (state == "42501") return absl::PermissionDeniedError(message);
  // 53 insufficient resources (disk full, too many connections), 57 operator intervention (shutdown, statement
  // timeout), 58 system error: rolled back, and may work later.
  // 55P03: a lock could not be had within lock_timeout.
  // 25006: the server has become a read-only standby.
  if (state == "25006" || state == "55P03" || absl::StartsWith(state, "53") || absl::StartsWith(state, "57") ||
      absl::StartsWith(state, "58")) {
    return absl::UnavailableError(message);
  }
  return absl::InternalError(absl::StrCat("SQLSTATE ", state, ": ", message));
}

// The server sends these to its clients when it goes down: the statement was rolled back or never finished, but a
// statement that was committing may have been committed. Of the errors with a SQLSTATE, only these leave doubt.
bool LeavesDoubt(const std::string& state) { return state == "57P01" || state == "57P02" || state == "57P03"; }

}  // namespace

bool IsOutdatedPlan(absl::string_view sqlstate) {
  return sqlstate == "0A000" || sqlstate == "42804" || sqlstate == "42P13";
}

absl::Status TranslatePostgresError(const std::exception& error, bool sent) {
  const std::string message = OneLine(error.what());
  if (const auto* sql = dynamic_cast<const pqxx::sql_error*>(&error); sql != nullptr && !sql->sqlstate().empty()) {
    if (sent && LeavesDoubt(sql->sqlstate())) return UnknownCommitError(message);
    return FromSqlState(sql->sqlstate(), message);
  }
  // libpqxx reports class 40 by types that carry no SQLSTATE. 40003, of unknown outcome, is the one that is not rolled
  // back.
  const bool rolled_back = dynamic_cast<const pqxx::transaction_rollback*>(&error) != nullptr &&
                           dynamic_cast<const pqxx::statement_completion_unknown*>(&error) == nullptr;
  if (rolled_back) return RetryTransactionError(message);
  // No SQLSTATE: the connection broke, or an answer that libpq could not use.
  if (!sent) return absl::UnavailableError(message);
  return UnknownCommitError(message);
}

}  // namespace tranche::storage
