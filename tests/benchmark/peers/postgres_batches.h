// PostgreSQL behind a queue: whole batches of claims go there in one call each.
#pragma once

#include <exception>
#include <memory>
#include <pqxx/pqxx>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/postgres/postgres_error.h"
#include "storage/postgres/server_connection.h"
#include "tests/benchmark/peers/embedded_text.h"
#include "tests/benchmark/peers/peer.h"

namespace tranche::peers {

// INVALID_ARGUMENT for a claim that PostgreSQL would not take. To be asked before the claim is queued: behind the queue
// nobody could be told, and it would be in the way of all others.
absl::Status CheckQueueable(const Claim& claim);

// Claims as four arguments of a statement: arrays of ids, SKUs, buyers and quantities.
struct ClaimArrays {
  std::string ids = {};
  std::string skus = {};
  std::string users = {};
  std::string quantities = {};
};
ClaimArrays ToArrays(absl::Span<const Claim> claims);

// One connection, which is made at the first call and again after an error. For one thread at a time. After an error
// the outcome of a change is unknown.
class PostgresBatches {
 public:
  explicit PostgresBatches(std::string dsn) : dsn_(std::move(dsn)) {}

  // The statements of an embedded file, in one transaction; what they answer is dropped.
  absl::Status RunScript(const std::string& file);

  // The one statement of an embedded file, prepared, as a transaction. Returns the first column of its rows.
  template <typename... Args>
  absl::StatusOr<std::vector<std::string>> Run(const std::string& file, const Args&... args) {
    try {
      storage::ServerConnection& connection = Connected();
      if (prepared_.insert(file).second) connection.prepare(file, EmbeddedText(file));
      pqxx::work transaction(connection);
      const pqxx::result rows = transaction.exec_prepared(file, args...);
      transaction.commit();
      std::vector<std::string> column;
      for (const auto& row : rows) column.push_back(row[0].c_str());
      return column;
    } catch (const std::exception& error) {
      return Failed(error);
    }
  }

 private:
  // Throws, as libpqxx does.
  storage::ServerConnection& Connected();
  absl::Status Failed(const std::exception& error);

  const std::string dsn_;
  std::unique_ptr<storage::ServerConnection> connection_;
  std::set<std::string> prepared_;
};

// Reads what the statements in these files answer: the units that are sold, and the ids of the orders.
absl::Status CountOrders(PostgresBatches& postgres, const std::string& sold_file, const std::string& ids_file,
                         Stored& stored);

}  // namespace tranche::peers
