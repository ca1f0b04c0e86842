#include "storage/postgres/postgres_error.h"

#include <algorithm>
#include <pqxx/except>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::storage {
namespace {

// A server's message has several lines; a log line and an operator want one.
std::string OneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  absl::RemoveExtraAsciiWhitespace(&text);
  return text;
}

template <typename Type>
bool Is(const std::exception& error) {
  return dynamic_cast<const Type*>(&error) != nullptr;
}

// libpqxx reports some SQLSTATEs by a type alone: all of class 40, and 42501.
std::string SqlStateOf(const std::exception& error) {
  if (const auto* said = dynamic_cast<const pqxx::sql_error*>(&error); said != nullptr && !said->sqlstate().empty()) {
    return said->sqlstate();
  }
  if (Is<pqxx::insufficient_privilege>(error)) return "42501";
  if (Is<pqxx::deadlock_detected>(error)) return "40P01";
  if (Is<pqxx::serialization_failure>(error)) return "40001";
  if (Is<pqxx::statement_completion_unknown>(error)) return "40003";
  if (Is<pqxx::transaction_rollback>(error)) return "40000";
  if (Is<pqxx::too_many_connections>(error)) return "53300";
  return "";
}

absl::Status StatusOf(const SqlState& meaning, const std::string& text, bool sent) {
  if (sent && meaning.leaves_doubt) return UnknownCommitError(text);
  switch (meaning.kind) {
    case SqlStateKind::kSkuMoving:
      return SkuMovingError(text);
    case SqlStateKind::kRetry:
    case SqlStateKind::kOutdatedPlan:
      return RetryTransactionError(text);
    case SqlStateKind::kStatement:
      // At connect there is no connection that others could go on with.
      return sent ? BusyError(text) : absl::UnavailableError(text);
    case SqlStateKind::kNeedsLess:
      return sent ? NeedsLessError(text) : absl::UnavailableError(text);
    default:
      return absl::Status(meaning.code, text);
  }
}

PostgresError Translate(const std::string& said, std::string sqlstate, const SqlState& meaning, bool sent) {
  std::string text = OneLine(said);
  if (sqlstate.empty()) text = absl::StrCat("no connection, or it was lost: ", text);
  if (!meaning.remedy.empty() || meaning.code == absl::StatusCode::kInternal) {
    text = absl::StrCat("SQLSTATE ", sqlstate, ": ", text);
  }
  if (!meaning.remedy.empty()) absl::StrAppend(&text, "; ", meaning.remedy);
  absl::Status status = StatusOf(meaning, text, sent);
  return {std::move(status), std::move(sqlstate), &meaning};
}

}  // namespace

PostgresError TranslatePostgresError(const std::exception& error, bool sent, const std::string& libpq_says) {
  std::string sqlstate = SqlStateOf(error);
  const SqlState& meaning = ClassifySqlState(sqlstate);
  // libpqxx often notices a lost connection by a step that it can no longer do, and names that.
  const bool lost = sqlstate.empty() && !libpq_says.empty();
  return Translate(lost ? libpq_says : error.what(), std::move(sqlstate), meaning, sent);
}

PostgresError TranslateConnectError(const std::exception& error) {
  std::string sqlstate = SqlStateOf(error);
  const SqlState& meaning = ClassifyConnectError(sqlstate);
  PostgresError refused = Translate(error.what(), std::move(sqlstate), meaning, /*sent=*/false);
  refused.status = NotReachedError(refused.status.message());
  return refused;
}

}  // namespace tranche::storage
