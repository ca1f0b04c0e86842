// A connection to PostgreSQL that passes on what libpqxx keeps to itself.
#pragma once

#include <pqxx/pqxx>
#include <string>

namespace tranche::storage {

// How a ServerConnection is opened.
class ServerConnectionPolicy : public pqxx::connect_direct {
 public:
  explicit ServerConnectionPolicy(const std::string& dsn) : pqxx::connect_direct(dsn) {}
  // If the server refuses the connection, throws a pqxx::sql_error with its SQLSTATE: libpqxx's own error has none, and
  // the text is in the server's language.
  handle do_startconnect(handle present) override;
};

// Used by one thread at a time, like every connection of libpqxx.
class ServerConnection : public pqxx::connection_base {
 public:
  // libpq's connection string or URI. Connects, or throws.
  explicit ServerConnection(const std::string& dsn) : pqxx::connection_base(policy_), policy_(dsn) { init(); }
  ~ServerConnection() noexcept { close(); }

 private:
  ServerConnectionPolicy policy_;
};

}  // namespace tranche::storage
