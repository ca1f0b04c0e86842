#include "tests/benchmark/peers/mariadb_connection.h"

#include <mysqld_error.h>

#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "storage/base/status_macros.h"
#include "tests/benchmark/peers/embedded_text.h"

namespace tranche::peers {
namespace {

constexpr unsigned int kMariadbConnectS = 5;
// A statement may wait for a lock for 50 s, as the server's default is.
constexpr unsigned int kMariadbAnswerS = 60;

absl::Status MariadbError(unsigned int code, const char* text) {
  const std::string message = absl::StrCat("MariaDB: ", code, " ", text);
  switch (code) {
    case ER_DUP_ENTRY:
      return absl::AlreadyExistsError(message);
    case ER_CHECKREAD:
    case ER_LOCK_DEADLOCK:
    case ER_LOCK_WAIT_TIMEOUT:
      return absl::AbortedError(message);
    default:
      return absl::UnavailableError(message);
  }
}

absl::Status MariadbError(MYSQL_STMT* statement) {
  return MariadbError(mysql_stmt_errno(statement), mysql_stmt_error(statement));
}

// Where the client library puts a column of the current row.
struct MariadbColumn {
  std::array<char, 64> text = {};
  unsigned long length = 0;
  my_bool is_null = 0;

  MYSQL_BIND Bind() {
    MYSQL_BIND bind = {};
    bind.buffer_type = MYSQL_TYPE_STRING;
    bind.buffer = text.data();
    bind.buffer_length = text.size();
    bind.length = &length;
    bind.is_null = &is_null;
    return bind;
  }
  std::string Text() const { return is_null != 0 ? std::string() : std::string(text.data(), length); }
};

// `length` must stay where it is until the statement is executed, as must the value.
MYSQL_BIND BindValue(const MariadbValue& value, unsigned long& length) {
  MYSQL_BIND bind = {};
  // The library only reads what is bound here.
  if (const auto* const number = std::get_if<int64_t>(&value); number != nullptr) {
    bind.buffer_type = MYSQL_TYPE_LONGLONG;
    bind.buffer = const_cast<int64_t*>(number);
    return bind;
  }
  const std::string& text = std::get<std::string>(value);
  length = text.size();
  bind.buffer_type = MYSQL_TYPE_STRING;
  bind.buffer = const_cast<char*>(text.data());
  bind.buffer_length = text.size();
  bind.length = &length;
  return bind;
}

}  // namespace

absl::StatusOr<std::unique_ptr<MariadbConnection>> MariadbConnection::Open(const std::string& socket) {
  MYSQL* const handle = mysql_init(nullptr);
  if (handle == nullptr) return absl::UnavailableError("no memory for a connection to MariaDB");
  std::unique_ptr<MariadbConnection> connection(new MariadbConnection(handle));
  mysql_options(handle, MYSQL_OPT_CONNECT_TIMEOUT, &kMariadbConnectS);
  mysql_options(handle, MYSQL_OPT_READ_TIMEOUT, &kMariadbAnswerS);
  mysql_options(handle, MYSQL_OPT_WRITE_TIMEOUT, &kMariadbAnswerS);
  mysql_options(handle, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  // Found rows: an UPDATE that writes what is there counts, too.
  if (mysql_real_connect(handle, nullptr, "root", nullptr, nullptr, 0, socket.c_str(),
                         CLIENT_MULTI_STATEMENTS | CLIENT_FOUND_ROWS) == nullptr) {
    return connection->LastError();
  }
  RETURN_IF_ERROR(connection->RunScript("mariadb/session.sql"));
  return connection;
}

MariadbConnection::~MariadbConnection() {
  statements_.clear();
  mysql_close(handle_);
}

absl::Status MariadbConnection::LastError() { return MariadbError(mysql_errno(handle_), mysql_error(handle_)); }

absl::Status MariadbConnection::RunScript(const std::string& file) {
  const std::string text = EmbeddedText(file);
  if (mysql_real_query(handle_, text.data(), text.size()) != 0) return LastError();
  while (true) {
    MYSQL_RES* const answer = mysql_store_result(handle_);
    if (answer != nullptr) mysql_free_result(answer);
    const int next = mysql_next_result(handle_);
    if (next > 0) return LastError();
    if (next < 0) return absl::OkStatus();
  }
}

absl::StatusOr<MYSQL_STMT*> MariadbConnection::Prepared(const std::string& file) {
  const auto found = statements_.find(file);
  if (found != statements_.end()) return found->second.get();
  std::string text = EmbeddedText(file);
  absl::StripTrailingAsciiWhitespace(&text);
  const absl::string_view sql = absl::StripSuffix(text, ";");
  std::unique_ptr<MYSQL_STMT, CloseStatement> statement(mysql_stmt_init(handle_));
  if (statement == nullptr) return absl::UnavailableError("no memory for a statement of MariaDB");
  if (mysql_stmt_prepare(statement.get(), sql.data(), sql.size()) != 0) return MariadbError(statement.get());
  return statements_.emplace(file, std::move(statement)).first->second.get();
}

absl::StatusOr<MYSQL_STMT*> MariadbConnection::Execute(const std::string& file,
                                                       const std::vector<MariadbValue>& values) {
  ASSIGN_OR_RETURN(MYSQL_STMT* const statement, Prepared(file));
  if (mysql_stmt_param_count(statement) != values.size()) {
    return absl::InternalError(absl::StrCat(file, " has ", mysql_stmt_param_count(statement), " values"));
  }
  std::vector<unsigned long> lengths(values.size());
  std::vector<MYSQL_BIND> binds;
  for (size_t i = 0; i < values.size(); ++i) binds.push_back(BindValue(values[i], lengths[i]));
  if (!binds.empty() && mysql_stmt_bind_param(statement, binds.data()) != 0) return MariadbError(statement);
  if (mysql_stmt_execute(statement) != 0) return MariadbError(statement);
  return statement;
}

absl::StatusOr<int64_t> MariadbConnection::Change(const std::string& file, const std::vector<MariadbValue>& values) {
  ASSIGN_OR_RETURN(MYSQL_STMT* const statement, Execute(file, values));
  return static_cast<int64_t>(mysql_stmt_affected_rows(statement));
}

absl::StatusOr<std::vector<MariadbRow>> MariadbConnection::Read(const std::string& file,
                                                                const std::vector<MariadbValue>& values) {
  ASSIGN_OR_RETURN(MYSQL_STMT* const statement, Execute(file, values));
  std::vector<MariadbColumn> columns(mysql_stmt_field_count(statement));
  std::vector<MYSQL_BIND> binds;
  for (MariadbColumn& column : columns) binds.push_back(column.Bind());
  if (mysql_stmt_bind_result(statement, binds.data()) != 0 || mysql_stmt_store_result(statement) != 0) {
    return MariadbError(statement);
  }
  std::vector<MariadbRow> rows;
  int fetched = 0;
  while ((fetched = mysql_stmt_fetch(statement)) == 0) {
    MariadbRow& row = rows.emplace_back();
    for (const MariadbColumn& column : columns) row.push_back(column.Text());
  }
  const absl::Status failed = fetched == MYSQL_NO_DATA          ? absl::OkStatus()
                              : fetched == MYSQL_DATA_TRUNCATED ? absl::InternalError("a column is too long")
                                                                : MariadbError(statement);
  mysql_stmt_free_result(statement);
  if (!failed.ok()) return failed;
  return rows;
}

absl::Status MariadbConnection::Begin() {
  if (mysql_query(handle_, "START TRANSACTION") != 0) return LastError();
  in_transaction_ = true;
  return absl::OkStatus();
}

absl::Status MariadbConnection::Commit() {
  if (mysql_commit(handle_) != 0) return LastError();
  in_transaction_ = false;
  return absl::OkStatus();
}

absl::Status MariadbConnection::RollBack() {
  if (!in_transaction_) return absl::OkStatus();
  if (mysql_rollback(handle_) != 0) return LastError();
  in_transaction_ = false;
  return absl::OkStatus();
}

}  // namespace tranche::peers
