// A connection to PostgreSQL that passes on what libpqxx keeps to itself.
#pragma once

#include <libpq-fe.h>

#include <pqxx/pqxx>
#include <string>
#include <utility>

namespace tranche::storage {

// How a ServerConnection is opened, and what the server says besides its answers.
class ServerConnectionPolicy : public pqxx::connect_direct {
 public:
  explicit ServerConnectionPolicy(const std::string& dsn) : pqxx::connect_direct(dsn) {}
  // If the server refuses the connection, throws a pqxx::sql_error with its SQLSTATE: libpqxx's own error has none, and
  // the text is in the server's language.
  handle do_startconnect(handle present) override;
  handle do_completeconnect(handle connected) override;
  handle do_disconnect(handle present) noexcept override;

  bool TakeNotReplicated() { return std::exchange(not_replicated_, false); }
  std::string LastError() const { return connected_ == nullptr ? "" : PQerrorMessage(connected_); }

 private:
  // A PQnoticeReceiver. `self` is the policy.
  static void Receive(void* self, const PGresult* notice);

  handle connected_ = nullptr;
  bool not_replicated_ = false;
};

// Used by one thread at a time, like every connection of libpqxx.
class ServerConnection : public pqxx::connection_base {
 public:
  // libpq's connection string or URI. Connects, or throws.
  explicit ServerConnection(const std::string& dsn) : pqxx::connection_base(policy_), policy_(dsn) { init(); }
  ~ServerConnection() noexcept { close(); }

  // Whether, since the last time this was asked, a transaction was committed without the synchronous standby's word:
  // its wait was cancelled. The server reports success, and a WARNING that libpqxx passes on only as text in the
  // server's language.
  bool TakeNotReplicated() { return policy_.TakeNotReplicated(); }

  // What libpq says of the last call: how the connection was lost, where libpqxx names a step that it could no longer
  // do. "" if there is nothing.
  std::string LastError() const { return policy_.LastError(); }

 private:
  ServerConnectionPolicy policy_;
};

}  // namespace tranche::storage
