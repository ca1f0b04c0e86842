// A connection to MariaDB with prepared statements.
#pragma once

#include <mysql.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tranche::peers {

using MariadbValue = std::variant<int64_t, std::string>;
// The columns as text, of at most 63 bytes each; NULL is "".
using MariadbRow = std::vector<std::string>;

// For one thread at a time. Statements are named by their embedded files, such as "mariadb/look.sql"; each is prepared
// when it is used first. Errors: kAlreadyExists: a unique key has that value; kAborted: it lost against another
// transaction, roll back and begin again; kUnavailable: all else, then the connection is of no more use.
class MariadbConnection {
 public:
  // As root, by the server's socket file. Takes five seconds at most.
  static absl::StatusOr<std::unique_ptr<MariadbConnection>> Open(const std::string& socket);
  ~MariadbConnection();
  MariadbConnection(const MariadbConnection&) = delete;
  MariadbConnection& operator=(const MariadbConnection&) = delete;

  // Several statements without values; what they answer is dropped.
  absl::Status RunScript(const std::string& file);
  // How many rows the WHERE of the change has found.
  absl::StatusOr<int64_t> Change(const std::string& file, const std::vector<MariadbValue>& values);
  absl::StatusOr<std::vector<MariadbRow>> Read(const std::string& file, const std::vector<MariadbValue>& values);

  absl::Status Begin();
  absl::Status Commit();
  // Does nothing outside a transaction.
  absl::Status RollBack();

 private:
  struct CloseStatement {
    void operator()(MYSQL_STMT* statement) const { mysql_stmt_close(statement); }
  };

  explicit MariadbConnection(MYSQL* handle) : handle_(handle) {}
  absl::Status LastError();
  absl::StatusOr<MYSQL_STMT*> Prepared(const std::string& file);
  absl::StatusOr<MYSQL_STMT*> Execute(const std::string& file, const std::vector<MariadbValue>& values);

  MYSQL* const handle_;
  std::map<std::string, std::unique_ptr<MYSQL_STMT, CloseStatement>> statements_;
  bool in_transaction_ = false;
};

}  // namespace tranche::peers
