#include "storage/postgres/connection_pool.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "storage/clock.h"
#include "storage/ledger/ledger_error.h"
#include "storage/postgres/dsn_keywords.h"
#include "storage/postgres/dsn_password.h"
#include "storage/postgres/steady_now.h"

namespace tranche::storage {
namespace {

constexpr absl::Duration kWatchInterval = absl::Milliseconds(250);
// How long the server may take to report its own timeout.
constexpr absl::Duration kStatementGrace = absl::Seconds(2);
// Between tries to open a connection that another pool is to give up.
constexpr absl::Duration kShareInterval = absl::Milliseconds(50);
constexpr char kTooManyConnections[] = "53300";
constexpr char kReadOnlyTransaction[] = "25006";

// With what the operator has left open. A string that libpq cannot read is left to it.
std::string WithParameters(const std::string& dsn, const PoolOptions& options) {
  const std::vector<std::pair<std::string, std::string>> parameters = {
      {"connect_timeout", absl::StrCat(std::max<int64_t>(2, absl::ToInt64Seconds(options.connect_timeout)))},
      {"application_name", options.application_name},
      {"tcp_user_timeout", absl::StrCat(absl::ToInt64Milliseconds(options.tcp_user_timeout))},
      {"keepalives_idle", "5"},
      {"keepalives_interval", "2"},
      {"keepalives_count", "3"},
  };
  return WithKeywords(dsn, parameters, OwnKeyword::kStays).value_or(dsn);
}

// With the password as it is now. Throws as if the server had refused: connections that exist may be good.
std::string WholeDsn(const PoolOptions& options) {
  absl::StatusOr<std::string> dsn = WithPasswordOf(options.password_file, WithParameters(options.dsn, options));
  if (dsn.ok()) return *std::move(dsn);
  const absl::string_view why = absl::IsResourceExhausted(dsn.status()) ? kNoDescriptor : kNoPassword;
  throw pqxx::sql_error(std::string(dsn.status().message()), "", std::string(why).c_str());
}

// Has the server no room for one more connection? That says nothing about those that are open.
bool LacksRoom(const PostgresError& refused) {
  return refused.meaning->kind == SqlStateKind::kConnection || refused.meaning->kind == SqlStateKind::kNeedsLess;
}

// Does a statement that failed so say that the server serves nobody?
bool ServesNobody(SqlStateKind kind) {
  return kind == SqlStateKind::kLost || kind == SqlStateKind::kServer || kind == SqlStateKind::kWrongServer;
}

// One round trip for all of them, which answers whether the session may only read: "on" or "off".
std::string SessionSettings(const PoolOptions& options) {
  return absl::StrCat("SET statement_timeout = ", absl::ToInt64Milliseconds(options.statement_timeout),
                      "; SET lock_timeout = ", absl::ToInt64Milliseconds(options.lock_timeout),
                      // Times go through text in some answers.
                      "; SET datestyle = 'ISO'; SET timezone = 'UTC'"
                      // We give this guarantee: an operator's or a role's default must not weaken it.
                      "; SET synchronous_commit = on; SET default_transaction_isolation = 'read committed'"
                      // Otherwise the warning of a COMMIT that no standby has confirmed may not reach us.
                      "; SET client_min_messages = warning"
                      // Where a procedure switches kinds of plans off, the estimated cost can be huge, and compiling
                      // the plan would take a hundred times longer than running it.
                      "; SET jit = off"
                      "; SHOW transaction_read_only");
}

absl::Status GivenUp() { return absl::UnavailableError("the database was given up"); }

}  // namespace

ConnectionPool::ConnectionPool(PoolOptions options)
    : options_(std::move(options)), trouble_(options_.application_name, Clock::Real()), watchdog_([this] { Watch(); }) {
  if (options_.share != nullptr) options_.share->Join(this);
}

ConnectionPool::~ConnectionPool() {
  if (options_.share != nullptr) options_.share->Leave(this);
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  watchdog_.join();
}

void ConnectionPool::Watch() {
  while (true) {
    std::vector<std::unique_ptr<Connection>> stale;
    absl::MutexLock lock(&mutex_);
    if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), kWatchInterval)) return;
    ShutOverdue(SteadyNow());
    stale = TakeStale(SteadyNow());
  }
}

std::vector<std::unique_ptr<ConnectionPool::Connection>> ConnectionPool::TakeStale(absl::Time now) {
  std::vector<std::unique_ptr<Connection>> stale;
  while (!idle_.empty() && idle_.front().since + options_.idle_timeout <= now) {
    stale.push_back(std::move(idle_.front().connection));
    idle_.pop_front();
    --open_;
  }
  return stale;
}

bool ConnectionPool::CloseIdle() {
  std::unique_ptr<Connection> closed;
  absl::MutexLock lock(&mutex_);
  if (idle_.empty() || open_ < 2) return false;
  closed = std::move(idle_.front().connection);
  idle_.pop_front();
  --open_;
  return true;
}

bool ConnectionPool::Connected() {
  absl::MutexLock lock(&mutex_);
  return open_ > 0;
}

PoolUse ConnectionPool::use() const {
  absl::MutexLock lock(&mutex_);
  return {.open = open_, .in_use = open_ - static_cast<int>(idle_.size()), .limit = options_.max_connections};
}

// Under the lock, which Return takes before a connection is closed, so the socket still belongs to this connection.
void ConnectionPool::ShutOverdue(absl::Time now) {
  for (auto& [connection, due] : due_) {
    if (now < due) continue;
    LOG(WARNING) << "PostgreSQL does not answer: a connection is given up";
    shutdown(connection->pq.sock(), SHUT_RDWR);
    due = absl::InfiniteFuture();
  }
}

ConnectionPool::Lease::~Lease() {
  if (connection_ != nullptr) pool_->Return(std::move(connection_), fate_);
}

absl::Status ConnectionPool::Lease::Failed(const std::exception& error) {
  PostgresError failure = TranslatePostgresError(error, /*sent=*/true, connection_->pq.LastError());
  fate_ = FateOf(failure.meaning->kind);
  if (ServesNobody(failure.meaning->kind)) pool_->reached_ = false;
  pool_->trouble_.Note(failure);
  return pool_->Named(std::move(failure.status));
}

absl::Status ConnectionPool::Named(absl::Status failed) const {
  return options_.shard.empty() ? failed : AtShard(std::move(failed), options_.shard);
}

absl::StatusOr<ConnectionPool::Lease> ConnectionPool::Acquire() {
  const absl::Time latest = SteadyNow() + options_.acquire_timeout;
  std::unique_ptr<Connection> connection;
  {
    absl::MutexLock lock(&mutex_);
    const auto may_lend = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return given_up_ || lent_ < options_.max_connections;
    };
    if (!mutex_.AwaitWithTimeout(absl::Condition(&may_lend), options_.acquire_timeout)) {
      return absl::ResourceExhaustedError("all database connections are in use");
    }
    if (given_up_) return GivenUp();
    ++lent_;
    connection = TakeIdle();
  }
  if (connection == nullptr && options_.share != nullptr && options_.share->Asking()) {
    connection = AwaitReturned(latest);
  }
  if (connection == nullptr) {
    PostgresError failure = Open(&connection);
    const bool lacks_room = LacksRoom(failure);
    if (lacks_room) connection = AwaitOther(latest, &failure);
    if (connection == nullptr) {
      // Others of this process work with theirs.
      const bool busy = lacks_room && (Connected() || OthersMayGive(failure));
      if (!busy) reached_ = false;
      absl::MutexLock lock(&mutex_);
      --lent_;
      return Named(busy ? NoConnectionError(failure.status.message()) : std::move(failure.status));
    }
  }
  // Also starts the time anew for a connection that was just opened: opening took a part of it.
  if (absl::Status begun = BeginUse(*connection); !begun.ok()) {
    Return(std::move(connection), ConnectionFate::kDropped);
    return begun;
  }
  return Lease(this, std::move(connection));
}

std::unique_ptr<ConnectionPool::Connection> ConnectionPool::TakeIdle() {
  if (idle_.empty()) return nullptr;
  std::unique_ptr<Connection> connection = std::move(idle_.back().connection);
  idle_.pop_back();
  return connection;
}

std::unique_ptr<ConnectionPool::Connection> ConnectionPool::AwaitOther(absl::Time latest, PostgresError* refused) {
  std::unique_ptr<Connection> connection = AwaitReturned(latest);
  if (connection != nullptr || options_.share == nullptr) return connection;
  options_.share->BeginAsking();
  while (connection == nullptr && OthersMayGive(*refused) && !AwaitShare(latest)) {
    *refused = Open(&connection);
    if (connection == nullptr) connection = AwaitReturned(latest);
  }
  options_.share->EndAsking();
  return connection;
}

bool ConnectionPool::OthersMayGive(const PostgresError& refused) {
  return refused.sqlstate == kTooManyConnections && options_.share != nullptr && options_.share->OthersConnected(this);
}

// Waits until the server may have noticed that another pool has closed a connection. True if it is too late.
bool ConnectionPool::AwaitShare(absl::Time latest) {
  options_.share->AskFor(this);
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(&given_up_), kShareInterval);
  return given_up_ || SteadyNow() >= latest;
}

std::unique_ptr<ConnectionPool::Connection> ConnectionPool::AwaitReturned(absl::Time latest) {
  absl::MutexLock lock(&mutex_);
  // Callers that wait here, or that are opening one, have none that they could return.
  const auto settled = [this]()
                           ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return given_up_ || !idle_.empty() || open_ == 0; };
  mutex_.AwaitWithTimeout(absl::Condition(&settled), latest - SteadyNow());
  return TakeIdle();
}

absl::Status ConnectionPool::BeginUse(Connection& connection) {
  absl::MutexLock lock(&mutex_);
  if (given_up_) return GivenUp();
  due_[&connection] = SteadyNow() + options_.statement_timeout + kStatementGrace;
  return absl::OkStatus();
}

absl::Status ConnectionPool::BeginSetup(Connection& connection) {
  absl::MutexLock lock(&mutex_);
  if (given_up_) return GivenUp();
  ++open_;
  due_[&connection] = SteadyNow() + options_.setup_timeout;
  return absl::OkStatus();
}

void ConnectionPool::SetupFailed(Connection& connection) {
  absl::MutexLock lock(&mutex_);
  --open_;
  due_.erase(&connection);
}

void ConnectionPool::GiveUp() {
  absl::MutexLock lock(&mutex_);
  given_up_ = true;
  for (auto& [connection, due] : due_) {
    shutdown(connection->pq.sock(), SHUT_RDWR);
    due = absl::InfiniteFuture();
  }
}

PostgresError ConnectionPool::Open(std::unique_ptr<Connection>* opened) {
  const auto failed = [](absl::Status status) { return PostgresError{std::move(status), "", &ClassifySqlState("")}; };
  std::unique_ptr<Connection> connection;
  try {
    connection = std::make_unique<Connection>(WholeDsn(options_));
    // The statements below may hang like any other.
    if (absl::Status begun = BeginSetup(*connection); !begun.ok()) return failed(std::move(begun));
// Deprecated, because its successor never reactivates; in this version it is the only way.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    connection->pq.inhibit_reactivation(true);
#pragma GCC diagnostic pop
    const auto read_only = pqxx::nontransaction(connection->pq).exec1(SessionSettings(options_))[0].as<std::string>();
    if (options_.for_changes && read_only == "on") {
      throw pqxx::sql_error("the server takes no changes", "", kReadOnlyTransaction);
    }
    *opened = std::move(connection);
    return failed(absl::OkStatus());
  } catch (const std::exception& error) {
    if (connection != nullptr) SetupFailed(*connection);
    PostgresError failure =
        connection == nullptr ? TranslateConnectError(error) : TranslatePostgresError(error, /*sent=*/false);
    trouble_.Note(failure);
    return failure;
  }
}

void ConnectionPool::Return(std::unique_ptr<Connection> connection, ConnectionFate fate) {
  std::deque<Idle> closed;
  absl::MutexLock lock(&mutex_);
  --lent_;
  due_.erase(connection.get());
  if (fate == ConnectionFate::kKept) reached_ = true;
  // The idle ones were probably opened to the same server, which is gone: make all callers connect anew.
  if (fate == ConnectionFate::kAllDropped) closed = std::exchange(idle_, {});
  if (fate == ConnectionFate::kKept && open_ > 1 && options_.share != nullptr && options_.share->Take()) {
    fate = ConnectionFate::kDropped;
  }
  open_ -= static_cast<int>(closed.size());
  if (fate == ConnectionFate::kKept) {
    idle_.push_back({std::move(connection), SteadyNow()});
  } else {
    --open_;
  }
}

}  // namespace tranche::storage
