// A bounded pool of PostgreSQL connections.
//
// A connection that broke is thrown away, and the next caller opens a new one: reconnecting needs no thread of its own.
// sql_state.h says which errors break connections. A statement that the server cancelled or refused does not.
// Every connection gets the session settings below when it is opened; libpqxx's silent reactivation is switched off, so
// that no connection ever runs without them.
//
// A server that hangs without breaking its connections (a frozen disk, a stopped process) would block its callers for
// ever: libpq waits without a limit, and statement_timeout is enforced by the server itself. So a watchdog shuts the
// socket of a connection that was lent for longer than any statement may take; the caller then sees a broken
// connection.
#pragma once

#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/postgres/postgres_error.h"
#include "storage/postgres/server_connection.h"
#include "storage/postgres/sql_state.h"
#include "storage/postgres/trouble_log.h"

namespace tranche::storage {

struct PoolOptions {
  // libpq's connection string or URI. May hold a password: never logged.
  std::string dsn;
  int max_connections = 8;
  absl::Duration acquire_timeout = absl::Seconds(2);  // waiting for a free connection
  absl::Duration connect_timeout = absl::Seconds(2);  // opening one (whole seconds, at least 2: libpq's granularity)
  absl::Duration statement_timeout = absl::Seconds(10);
  absl::Duration lock_timeout = absl::ZeroDuration();  // waiting for one lock; zero: the statement timeout alone
  // Sent data that is unacknowledged for this long breaks the connection: the host may have vanished.
  absl::Duration tcp_user_timeout = absl::Seconds(5);
  std::string application_name = "tranche";
};

// Thread-safe. Outlives the connections that it lends.
class ConnectionPool {
 public:
  explicit ConnectionPool(PoolOptions options);
  ~ConnectionPool();
  ConnectionPool(const ConnectionPool&) = delete;
  ConnectionPool& operator=(const ConnectionPool&) = delete;

  // One connection with the names of what it has prepared. Used by one thread at a time.
  struct Connection {
    explicit Connection(const std::string& dsn) : pq(dsn) {}
    ServerConnection pq;
    absl::flat_hash_set<std::string> prepared;
  };

  // Lends a connection for the lifetime of this object; returns it to the pool unless an error of a statement broke it.
  class Lease {
   public:
    Lease(ConnectionPool* pool, std::unique_ptr<Connection> connection)
        : pool_(pool), connection_(std::move(connection)) {}
    Lease(Lease&&) = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease();
    Connection& operator*() { return *connection_; }
    Connection* operator->() { return connection_.get(); }
    // For what a statement that was sent threw: the status to return. Decides what becomes of the connection, and logs
    // the cause.
    absl::Status Failed(const std::exception& error);

   private:
    ConnectionPool* pool_;
    std::unique_ptr<Connection> connection_;
    ConnectionFate fate_ = ConnectionFate::kKept;
  };

  // kUnavailable when the database does not accept a connection, kPermissionDenied when it does not let this role in;
  // kResourceExhausted when none becomes free in time. When the server gives no further connection, one that the pool
  // has lent is waited for.
  absl::StatusOr<Lease> Acquire();

  // For a process that ends and must not be blocked by a hung server: lends no more connections (kUnavailable) and
  // shuts the lent ones, so that callers who wait for the server see a broken connection. A caller who is just
  // connecting is not woken: connect_timeout ends that. Repeating it is harmless.
  void GiveUp();

 private:
  void Return(std::unique_ptr<Connection> connection, ConnectionFate fate);
  // Sets `opened` if the error's status is OK.
  PostgresError Open(std::unique_ptr<Connection>* opened);
  // One that another caller returns until then; nullptr if there is none.
  std::unique_ptr<Connection> AwaitReturned(absl::Time latest);
  std::unique_ptr<Connection> TakeIdle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // From now on the connection must be back in time. An error once the pool was given up.
  absl::Status BeginUse(Connection& connection);
  void EndUse(Connection& connection);
  void Watch();
  void ShutOverdue(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const PoolOptions options_;
  TroubleLog trouble_;
  absl::Mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_ ABSL_GUARDED_BY(mutex_);
  int lent_ ABSL_GUARDED_BY(mutex_) = 0;
  // Until when each connection that is lent, or being set up, must be back.
  absl::flat_hash_map<Connection*, absl::Time> due_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool given_up_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread watchdog_;
};

}  // namespace tranche::storage
