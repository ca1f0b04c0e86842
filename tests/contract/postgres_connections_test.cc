// How the pools get by with the connections that the server gives, and give them back.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/time/clock.h"
#include "storage/ledger/ledger_error.h"
#include "storage/postgres/connection_limits.h"
#include "storage/postgres/postgres_shard_backend.h"
#include "storage/postgres/postgres_shard_ledger.h"
#include "tests/contract/postgres_outage_fixture.h"
#include "tests/support/between_looks.h"
#include "tests/support/claims.h"
#include "tests/support/mini_pgbouncer.h"
#include "tests/support/scratch_dir.h"

namespace tranche::storage {
namespace {

using testing::Claim;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TRANCHE_SANITIZED
#endif
#endif
#ifdef TRANCHE_SANITIZED
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

class PostgresConnectionsTest : public PostgresOutageTest {
 protected:
  // A role for which the server has so many connections.
  std::string RoleWith(int connections) {
    EXPECT_TRUE(testing::ExecuteSql(postgres_.dsn(), absl::StrCat("CREATE ROLE few LOGIN IN ROLE tranche_app "
                                                                  "CONNECTION LIMIT ",
                                                                  connections))
                    .ok());
    return postgres_.Dsn("tranche", "few");
  }
  // Sells and is paid, while lists and lookups would take every connection.
  void SellAndBePaid(int connections) { SellAndBePaidAt(RoleWith(connections)); }
  void SellAndBePaidAt(const std::string& dsn) {
    PostgresShardOptions options;
    options.pool.dsn = dsn;
    PostgresShardBackend shard(kHomeShard, options);
    std::atomic<bool> stop{false};
    std::vector<std::thread> readers;
    for (int i = 0; i < 12; ++i) {
      readers.emplace_back([&] {
        while (!stop) (void)shard.lifecycle->ReadReservations({testing::NewId()});
      });
    }
    constexpr int kSold = 200;
    const std::vector<ReservationClaim> claims = testing::ClaimsOf("tv", "buyer", kSold);
    absl::BlockingCounter sold(kSold), paid(kSold);
    std::atomic<int> failed{0};
    for (const ReservationClaim& claim : claims) {
      shard.claims->Submit(node_, claim, absl::Now() + absl::Seconds(30), [&](absl::StatusOr<CommitResult> result) {
        failed += result.ok() && result->outcome == CommitOutcome::kCreated ? 0 : 1;
        sold.DecrementCount();
      });
    }
    sold.Wait();
    EXPECT_EQ(failed, 0);
    for (const ReservationClaim& claim : claims) {
      shard.changes->Submit(Payment{claim.reservation_id, "pay", 0, "EUR"}, absl::Now() + absl::Seconds(30),
                            [&](absl::StatusOr<ChangeResult> result) {
                              failed += result.ok() && result->outcome == ChangeOutcome::kDone ? 0 : 1;
                              paid.DecrementCount();
                            });
    }
    paid.Wait();
    EXPECT_EQ(failed, 0);
    stop = true;
    for (std::thread& reader : readers) reader.join();
    shard.StopExecutor();
    shard.StopPipelines();
  }
  void AwaitBackends(const std::string& application, const std::string& pids) {
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    while (BackendsOf(postgres_, application) != pids && absl::Now() < deadline) testing::RestBetweenLooks();
    EXPECT_EQ(BackendsOf(postgres_, application), pids);
  }
};

// Field: 571 units were sold, and all 571 payments refused, because the other pools had taken every connection.
TEST_F(PostgresConnectionsTest, WhatIsSoldCanBePaidWithFewConnections) { SellAndBePaid(9); }

TEST_F(PostgresConnectionsTest, WhatIsSoldCanBePaidWithOneConnectionForEachPool) { SellAndBePaid(3); }

// The one that has the only connection keeps it for long. The ledger is not down for that.
TEST_F(PostgresConnectionsTest, WhatAnotherPoolHasIsNoOutage) {
  PoolOptions options;
  options.dsn = RoleWith(1);
  options.acquire_timeout = absl::Milliseconds(200);
  options.share = std::make_shared<ConnectionShare>();
  ConnectionPool first(options), second(options);
  {
    const auto lent = first.Acquire();
    ASSERT_TRUE(lent.ok()) << lent.status();
    const absl::Status of_another = second.Acquire().status(), of_the_same = first.Acquire().status();
    EXPECT_TRUE(IsNoConnection(of_another)) << of_another;
    EXPECT_TRUE(IsNoConnection(of_the_same)) << of_the_same;
  }
  EXPECT_TRUE(IsNoConnection(second.Acquire().status())) << "no pool gives its last one";
  options.share = nullptr;
  ConnectionPool stranger(options);
  const absl::Status refused = stranger.Acquire().status();
  EXPECT_TRUE(absl::IsUnavailable(refused) && !LedgerIsUp(refused)) << refused;
}

// It may be about to be replaced. The server is well, and asks for no password here.
TEST_F(PostgresConnectionsTest, WithoutItsPasswordFileAPoolGoesOnWithTheConnectionsThatItHas) {
  const testing::ScratchDir scratch("password");
  const std::filesystem::path file = scratch.path() / "password";
  const auto write = [&] {
    std::ofstream(file) << "secret\n";
    std::filesystem::permissions(file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  };
  write();
  PoolOptions options;
  options.dsn = postgres_.node_dsn();
  options.password_file = file.string();
  options.acquire_timeout = absl::Milliseconds(200);
  ConnectionPool pool(options), without_any(options);
  {
    const auto lent = pool.Acquire();
    ASSERT_TRUE(lent.ok()) << lent.status();
    std::filesystem::remove(file);
    const absl::Status second = pool.Acquire().status();
    EXPECT_TRUE(IsNoConnection(second)) << second;
    EXPECT_TRUE(absl::StrContains(second.message(), file.string())) << second;
  }
  EXPECT_TRUE(pool.Acquire().ok());
  const absl::Status refused = without_any.Acquire().status();
  EXPECT_TRUE(IsNotReached(refused)) << refused;
  write();
  EXPECT_TRUE(without_any.Acquire().ok());
}

// Nobody in this process could give one away, so there is nothing to wait for.
// A node that ends because its descriptors are used up must still give its units back.
TEST_F(PostgresConnectionsTest, WithoutADescriptorTheOneThatIsLentIsWaitedFor) {
  if (kSanitized) GTEST_SKIP() << "sanitizers need descriptors for their own checks";
  PoolOptions options;
  options.dsn = postgres_.node_dsn();
  ConnectionPool pool(options);
  auto lent = std::make_unique<absl::StatusOr<ConnectionPool::Lease>>(pool.Acquire());
  ASSERT_TRUE(lent->ok()) << lent->status();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 3, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  absl::Status second;
  std::thread other([&] { second = pool.Acquire().status(); });
  absl::SleepFor(absl::Milliseconds(300));  // or the other one finds it returned already, which proves less
  lent.reset();
  other.join();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(second.ok()) << second;
}

TEST_F(PostgresConnectionsTest, WithoutAnyConnectionCallersAreToldAtOnce) {
  PostgresShardOptions options;
  options.pool.dsn = RoleWith(0);
  options.pool.acquire_timeout = absl::Minutes(1);
  PostgresShardBackend shard(kHomeShard, options);
  const absl::Time begun = absl::Now();
  const absl::Status status = shard.lifecycle->ReadReservations({testing::NewId()}).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_LT(absl::Now() - begun, absl::Seconds(30));
  shard.StopExecutor();
  shard.StopPipelines();
}

// An operator who restores a database cuts it off first. To callers the ledger is away, not broken.
TEST_F(PostgresConnectionsTest, ADatabaseThatRefusesConnectionsIsUnavailable) {
  const auto refused = [this] {
    PostgresShardOptions options;
    options.pool.dsn = postgres_.Dsn("tranche", "tranche_visitor");
    PostgresShardBackend shard(kHomeShard, options);
    const absl::Status status = shard.lifecycle->ReadReservations({testing::NewId()}).status();
    shard.StopExecutor();
    shard.StopPipelines();
    return status;
  };
  const auto as_owner = [this](const char* sql) { ASSERT_TRUE(testing::ExecuteSql(postgres_.dsn(), sql).ok()); };
  as_owner("CREATE ROLE tranche_visitor LOGIN IN ROLE tranche_app; REVOKE CONNECT ON DATABASE tranche FROM PUBLIC");
  absl::Status status = refused();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_NE(status.message().find("right to CONNECT"), absl::string_view::npos) << status;
  as_owner("GRANT CONNECT ON DATABASE tranche TO PUBLIC");
  EXPECT_TRUE(refused().ok());
}

// Otherwise a look-up, which a standby answers too, would say that the ledger is back, and the next claim that it is
// not.
TEST_F(PostgresConnectionsTest, AServerThatOnlyReadsIsNoLedgerForChanges) {
  PoolOptions options;
  options.dsn = postgres_.node_dsn();
  options.application_name = "changes";
  options.for_changes = true;
  ConnectionPool pool(options);
  PostgresLedger ledger(&pool);
  // From another database, whose sessions may always write.
  const auto make = [&](const char* read_only) {
    return testing::ExecuteSql(postgres_.Dsn("postgres"),
                               absl::StrCat("ALTER DATABASE tranche SET default_transaction_read_only = ", read_only));
  };
  EXPECT_TRUE(absl::IsNotFound(ledger.FindReservation(testing::NewId()).status()));
  ASSERT_TRUE(make("on").ok());
  const std::string backends = BackendsOf(postgres_, options.application_name);
  ASSERT_TRUE(testing::ExecuteSql(postgres_.dsn(), absl::StrCat("SELECT pg_terminate_backend(", backends, ")")).ok());
  const absl::Status lost = ledger.CommitReservations(node_, LockMode::kWait, {Claim("tv", "buyer")}).status();
  EXPECT_TRUE(absl::IsUnavailable(lost)) << lost;
  const absl::Status refused = ledger.FindReservation(testing::NewId()).status();
  EXPECT_TRUE(absl::IsUnavailable(refused)) << refused;
  EXPECT_TRUE(absl::StrContains(refused.message(), "a standby or read-only")) << refused;
  EXPECT_TRUE(stock_->GetSku("tv").ok()) << "who only reads is answered";
  ASSERT_TRUE(make("off").ok());
  EXPECT_TRUE(ledger.CommitReservations(node_, LockMode::kWait, {Claim("tv", "buyer")}).ok());
}

// libpqxx alone says "could not obtain client encoding".
TEST_F(PostgresConnectionsTest, TheCauseOfALostConnectionIsTold) {
  ASSERT_TRUE(stock_->GetSku("tv").ok());
  auto lease = pool_->Acquire();
  ASSERT_TRUE(lease.ok()) << lease.status();
  ASSERT_TRUE(testing::ExecuteSql(postgres_.dsn(),
                                  absl::StrCat("SELECT pg_terminate_backend(", BackendsOf(postgres_, "tranche"), ")"))
                  .ok());
  try {
    pqxx::nontransaction(lease.value()->pq).exec("SELECT 1");
    ADD_FAILURE() << "the connection was not ended";
  } catch (const std::exception& error) {
    const absl::Status failed = lease->Failed(error);
    EXPECT_FALSE(absl::StrContains(failed.message(), "client encoding")) << failed;
    EXPECT_TRUE(absl::StrContains(failed.message(), "closed the connection") ||
                absl::StrContains(failed.message(), "terminating connection"))
        << failed;
  }
}

TEST_F(PostgresConnectionsTest, IdleConnectionsAreGivenBack) {
  PoolOptions options;
  options.dsn = postgres_.node_dsn();
  options.application_name = "idle";
  options.idle_timeout = absl::Seconds(2);
  ConnectionPool pool(options);
  {
    const auto first = pool.Acquire(), second = pool.Acquire();
    ASSERT_TRUE(first.ok() && second.ok());
  }
  const std::string both = BackendsOf(postgres_, "idle");
  EXPECT_TRUE(absl::StrContains(both, " ")) << both;
  AwaitBackends("idle", "");
  EXPECT_TRUE(pool.Acquire().ok()) << "a new one is opened";
}

TEST_F(PostgresConnectionsTest, TheSettingsOfASessionAreMade) {
  PoolOptions options;
  options.dsn = postgres_.node_dsn();
  options.statement_timeout = absl::Milliseconds(1234);
  options.lock_timeout = absl::Milliseconds(567);
  ASSERT_TRUE(testing::ExecuteSql(postgres_.dsn(), "ALTER ROLE tranche_node SET synchronous_commit = off").ok());
  ConnectionPool pool(options);
  auto lease = pool.Acquire();
  ASSERT_TRUE(lease.ok()) << lease.status();
  pqxx::nontransaction query((*lease)->pq);
  const auto setting = [&](const char* name) {
    return query.exec1(absl::StrCat("SELECT current_setting('", name, "')"))[0].as<std::string>();
  };
  EXPECT_EQ(setting("statement_timeout"), "1234ms");
  EXPECT_EQ(setting("lock_timeout"), "567ms");
  EXPECT_EQ(setting("synchronous_commit"), "on");
  EXPECT_EQ(setting("default_transaction_isolation"), "read committed");
  EXPECT_EQ(setting("client_min_messages"), "warning");
}

TEST_F(PostgresConnectionsTest, TheDatabasesClockIsRead) {
  PoolOptions options;
  options.dsn = postgres_.node_dsn();
  ConnectionPool pool(options);
  PostgresShardLedger shards(&pool);
  const absl::Time before = absl::Now();
  const auto read = shards.ReadClock();
  const absl::Time after = absl::Now();
  ASSERT_TRUE(read.ok()) << read.status();
  // It is this machine's clock, too. Abseil reads it in a way of its own, which may differ a little.
  EXPECT_GE(*read, before - absl::Milliseconds(100));
  EXPECT_LE(*read, after + absl::Milliseconds(100));
}

TEST_F(PostgresConnectionsTest, TheServersLimitsAreRead) {
  PoolOptions options;
  options.dsn = RoleWith(9);
  ASSERT_TRUE(testing::ExecuteSql(postgres_.dsn(), "ALTER DATABASE tranche CONNECTION LIMIT 50").ok());
  ConnectionPool pool(options), other(options);
  const auto taken = other.Acquire();
  ASSERT_TRUE(taken.ok());
  const auto limits = ReadConnectionLimits(pool);
  ASSERT_TRUE(limits.ok()) << limits.status();
  ASSERT_EQ(limits->size(), 3u);
  for (const ConnectionLimit& limit : *limits) {
    if (limit.scope == "server") {
      EXPECT_GT(limit.bound, 50);
    }
    if (limit.scope == "database") {
      EXPECT_EQ(limit.bound, 50);
    }
    if (limit.scope == "role") {
      EXPECT_EQ(limit.name, "few");
      EXPECT_EQ(limit.bound, 9);
      EXPECT_EQ(limit.used, 1) << "the other pool's";
    }
  }
}

TEST_F(PostgresConnectionsTest, ThroughPgbouncerInSessionModeWhatIsSoldIsPaid) {
  testing::MiniPgbouncer pooler(postgres_, "session");
  const absl::Status started = pooler.Start();
  ASSERT_TRUE(started.ok()) << started;
  PoolOptions options;
  options.dsn = pooler.node_dsn();
  ConnectionPool pool(options);
  const auto limits = ReadConnectionLimits(pool);
  EXPECT_TRUE(limits.ok()) << limits.status();
  SellAndBePaidAt(pooler.node_dsn());
}

TEST_F(PostgresConnectionsTest, PgbouncerInTransactionModeIsNoticed) {
  testing::MiniPgbouncer pooler(postgres_, "transaction");
  const absl::Status started = pooler.Start();
  ASSERT_TRUE(started.ok()) << started;
  PoolOptions options;
  options.dsn = pooler.node_dsn();
  ConnectionPool pool(options);
  const absl::Status refused = ReadConnectionLimits(pool).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_TRUE(absl::StrContains(refused.message(), "session mode")) << refused;
}

// A pooler in transaction mode lends each transaction whichever session is free: two connections that take turns come
// to one session, or one connection to several.
TEST_F(PostgresConnectionsTest, APoolerThatSwapsSessionsIsNoticed) {
  PoolOptions options;
  options.dsn = postgres_.node_dsn();
  ASSERT_TRUE(testing::ExecuteSql(postgres_.dsn(), "CREATE SEQUENCE public.asked").ok());
  for (const char* backend : {"1", "nextval('public.asked')::integer"}) {
    ASSERT_TRUE(testing::ExecuteSql(postgres_.dsn(), absl::StrCat("CREATE OR REPLACE FUNCTION "
                                                                  "tranche.connection_limits() RETURNS TABLE (scope "
                                                                  "text, name text, bound integer, used integer, "
                                                                  "backend integer) LANGUAGE sql SECURITY DEFINER AS "
                                                                  "$$ SELECT 'server', 'max', 97, 1, ",
                                                                  backend, " $$"))
                    .ok());
    ConnectionPool pool(options);
    const absl::Status refused = ReadConnectionLimits(pool).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
    EXPECT_TRUE(absl::StrContains(refused.message(), "session mode")) << refused;
  }
}

// Lets a client in and then says nothing, like a pooler in session mode whose servers are all taken.
class SilentPooler {
 public:
  SilentPooler() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { LetIn(); });
  }
  ~SilentPooler() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
    for (const int client : clients_) close(client);
  }
  std::string dsn() const {
    return absl::StrCat("host=127.0.0.1 port=", port_, " dbname=tranche user=u sslmode=disable gssencmode=disable");
  }

 private:
  void LetIn() {
    static constexpr char kWelcome[] =
        "R\0\0\0\x8\0\0\0\0"  // authenticated
        "S\0\0\0\x18server_version\0"
        "15.0\0"        // a parameter
        "Z\0\0\0\x5I";  // ready for queries
    while (true) {
      const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0) return;
      clients_.push_back(client);
      std::array<char, 1024> startup;
      if (recv(client, startup.data(), startup.size(), 0) <= 0) continue;
      EXPECT_EQ(send(client, kWelcome, sizeof(kWelcome) - 1, MSG_NOSIGNAL), static_cast<ssize_t>(sizeof(kWelcome) - 1));
    }
  }

  const int listener_;
  int port_ = 0;
  std::vector<int> clients_;
  std::thread thread_;
};

TEST(ConnectionPool, APoolerThatKeepsAClientWaitingIsGivenUp) {
  SilentPooler pooler;
  PoolOptions options;
  options.dsn = pooler.dsn();
  options.setup_timeout = absl::Seconds(1);
  ConnectionPool pool(options);
  const absl::Time start = absl::Now();
  const absl::Status opened = pool.Acquire().status();
  EXPECT_TRUE(absl::IsUnavailable(opened) && !IsUnknownCommit(opened)) << opened;
  EXPECT_GE(absl::Now() - start, absl::Seconds(1)) << "it was let in";
  EXPECT_LT(absl::Now() - start, absl::Seconds(9)) << "less than a statement may take";
}

}  // namespace
}  // namespace tranche::storage
