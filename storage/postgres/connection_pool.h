// A bounded pool of PostgreSQL connections.
//
// A connection that broke is thrown away, and the next caller opens a new one: reconnecting needs no thread of its own.
// sql_state.h says which errors break connections. A statement that the server cancelled or refused does not.
// Every connection gets the session settings below when it is opened; libpqxx's silent reactivation is switched off, so
// that no connection ever runs without them.
//
// Opening a connection is bounded as a whole, its settings included. Idle connections are closed after a while, so that
// other processes can have them. When the server gives no more connections, callers wait for those that the pool has;
// if it has none, another pool of the process gives one up (connection_share.h).
//
// A server that hangs without breaking its connections (a frozen disk, a stopped process) would block its callers for
// ever: libpq waits without a limit, and statement_timeout is enforced by the server itself. So a watchdog shuts the
// socket of a connection that was lent for longer than any statement may take; the caller then sees a broken
// connection.
#pragma once

#include <atomic>
#include <deque>
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
#include "storage/postgres/connection_share.h"
#include "storage/postgres/postgres_error.h"
#include "storage/postgres/server_connection.h"
#include "storage/postgres/sql_state.h"
#include "storage/postgres/trouble_log.h"

namespace tranche::storage {

struct PoolOptions {
  // libpq's connection string or URI. May hold a password: never logged.
  std::string dsn;
  // A file with the password for it, read for each connection that is opened, so that the password may be changed; "":
  // none. Shards share it with home.
  std::string password_file = {};
  int max_connections = 8;
  absl::Duration acquire_timeout = absl::Seconds(2);  // waiting for a free connection
  absl::Duration connect_timeout =
      absl::Seconds(2);                             // reaching a host (whole seconds, at least 2: libpq's granularity)
  absl::Duration setup_timeout = absl::Seconds(3);  // making the session's settings: a pooler may keep us waiting here
  absl::Duration idle_timeout = absl::Minutes(1);   // an idle connection is closed
  absl::Duration statement_timeout = absl::Seconds(10);
  absl::Duration lock_timeout = absl::ZeroDuration();  // waiting for one lock; zero: the statement timeout alone
  // Sent data that is unacknowledged for this long breaks the connection: the host may have vanished. A node that is
  // cut off must say so soon: with another try to connect, so that its units are moved within five seconds.
  absl::Duration tcp_user_timeout = absl::Seconds(2);
  std::string application_name = "tranche";
  // A server that takes no changes counts as one that cannot be reached. Without this, a look-up there would say that
  // the ledger is back, and the next change that it is down.
  bool for_changes = false;
  std::string shard = {};                       // named by every error; "" for home
  std::shared_ptr<ConnectionShare> share = {};  // with the other pools of this process and server; may be nullptr
};

struct PoolUse {
  int open;    // connections that exist
  int in_use;  // of those, lent or being set up
  int limit;   // never more than that
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
  // has lent, or that another pool gives up, is waited for; NoConnectionError if none comes in time.
  absl::StatusOr<Lease> Acquire();

  // Closes the connection that was idle for longest, unless it is this pool's last one. False if there is none.
  bool CloseIdle();
  // Whether it has a connection, or is setting one up.
  bool Connected();

  // For those who watch it; neither waits for the server.
  PoolUse use() const;
  // Did the server serve whoever used it last? False before the first use.
  bool reached() const { return reached_; }

  // For a process that ends and must not be blocked by a hung server: lends no more connections (kUnavailable) and
  // shuts the lent ones, so that callers who wait for the server see a broken connection. A caller who is just
  // connecting is not woken: connect_timeout ends that. Repeating it is harmless.
  void GiveUp();

 private:
  struct Idle {
    std::unique_ptr<Connection> connection;
    absl::Time since;
  };

  void Return(std::unique_ptr<Connection> connection, ConnectionFate fate);
  // Sets `opened` if the error's status is OK.
  PostgresError Open(std::unique_ptr<Connection>* opened);
  // After `refused`: one that another caller returns, or that another pool gives up, until then; otherwise nullptr and
  // the latest refusal.
  std::unique_ptr<Connection> AwaitOther(absl::Time latest, PostgresError* refused);
  std::unique_ptr<Connection> AwaitReturned(absl::Time latest);
  bool AwaitShare(absl::Time latest);
  std::unique_ptr<Connection> TakeIdle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether another pool of this process has a connection, of which it gives one up when it has two.
  bool OthersMayGive(const PostgresError& refused);
  absl::Status Named(absl::Status failed) const;
  // From now on the connection must be back in time. An error once the pool was given up.
  absl::Status BeginUse(Connection& connection);
  // From now on the connection is one of the pool's. An error once the pool was given up.
  absl::Status BeginSetup(Connection& connection);
  void SetupFailed(Connection& connection);
  void Watch();
  // Those that have been idle for too long, to be closed by the caller without the lock.
  std::vector<std::unique_ptr<Connection>> TakeStale(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ShutOverdue(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const PoolOptions options_;
  TroubleLog trouble_;
  std::atomic<bool> reached_ = false;
  mutable absl::Mutex mutex_;
  std::deque<Idle> idle_ ABSL_GUARDED_BY(mutex_);  // the one that was used last at the end
  int open_ ABSL_GUARDED_BY(mutex_) = 0;           // that exist: idle, lent, or being set up
  int lent_ ABSL_GUARDED_BY(mutex_) = 0;           // with those that are waited for
  // Until when each connection that is lent, or being set up, must be back.
  absl::flat_hash_map<Connection*, absl::Time> due_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool given_up_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread watchdog_;
};

}  // namespace tranche::storage
