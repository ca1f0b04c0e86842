// Starting with a mistake: one line that says what to do, and an exit status that scripts can use.

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/ledger_mark.h"
#include "quota/zookeeper/zookeeper_coordination.h"
#include "storage/postgres/migrator.h"
#include "tests/support/between_looks.h"
#include "tests/support/child_process.h"
#include "tests/support/free_port.h"
#include "tests/support/mini_pgbouncer.h"
#include "tests/support/mini_postgres.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/server_process.h"
#include "tests/support/sessions.h"
#include "tests/support/test_postgres.h"
#include "tests/support/test_zookeeper.h"

namespace tranche::testing {
namespace {

struct Ended {
  int status = -1;
  std::string output;
};

Ended RunToEnd(const std::string& binary, const std::vector<std::string>& args) {
  const ScratchDir scratch("startup");
  auto server = ServerProcess::Start("server", binary, args, scratch.path());
  EXPECT_TRUE(server.ok()) << server.status();
  Ended ended;
  const auto status = (*server)->process().Wait(absl::Seconds(30));
  EXPECT_TRUE(status.ok()) << "still running: " << status.status();
  ended.status = status.value_or(-1);
  ended.output = FileContents((*server)->log_file());
  return ended;
}

std::vector<std::string> StartArgs(const std::string& binary, const std::string& dsn) {
  std::vector<std::string> args = {"--startup-timeout-ms", "2000", "--postgres", dsn};
  if (binary != "tranche-worker") args.insert(args.end(), {"--zookeeper", "127.0.0.1:1"});
  if (binary == "tranched") args.insert(args.end(), {"--listen", "127.0.0.1:0"});
  return args;
}

int Lines(const std::string& text) { return static_cast<int>(std::count(text.begin(), text.end(), '\n')); }

TEST(StartupTest, AWrongFlagIsNamed) {
  const Ended ended = RunToEnd("tranched", {"--lanes", "many"});
  EXPECT_EQ(ended.status, 1);
  EXPECT_TRUE(absl::StrContains(ended.output, "lanes")) << ended.output;
}

TEST(StartupTest, AdminServiceIsNotServedToEverybody) {
  const Ended ended = RunToEnd("tranched", {"--listen", "127.0.0.1:0", "--admin-listen", "0.0.0.0:0", "--zookeeper",
                                            "127.0.0.1:1", "--postgres", "host=127.0.0.1 dbname=tranche"});
  EXPECT_EQ(ended.status, 1);
  EXPECT_TRUE(absl::StrContains(ended.output, "AdminService would be open to everybody")) << ended.output;
  EXPECT_EQ(Lines(ended.output), 1) << ended.output;
}

TEST(StartupTest, AFileOfTlsThatIsMissingIsNamed) {
  const int port = PickFreePort();
  for (const std::string binary : {"tranched", "tranche-balancer", "tranche-worker"}) {
    std::vector<std::string> args = StartArgs(binary, absl::StrCat("host=127.0.0.1 port=", port, " dbname=tranche"));
    args.insert(args.end(), {"--tls-certificate", "/nowhere/node.crt", "--tls-key", "/nowhere/node.key"});
    const Ended ended = RunToEnd(binary, args);
    EXPECT_EQ(ended.status, 2) << binary;
    EXPECT_TRUE(absl::StrContains(ended.output, "cannot read /nowhere/node.crt")) << ended.output;
    EXPECT_LE(Lines(ended.output), 2) << ended.output;
  }
}

TEST(StartupTest, AnUnreachablePostgresIsNamedWithoutItsPassword) {
  const int port = PickFreePort();
  const Ended ended =
      RunToEnd("tranched",
               {"--listen", "127.0.0.1:0", "--startup-timeout-ms", "2000", "--zookeeper", "127.0.0.1:1", "--postgres",
                absl::StrCat("host=127.0.0.1 port=", port, " dbname=tranche user=u password=hunter2")});
  EXPECT_EQ(ended.status, 2);
  EXPECT_TRUE(absl::StrContains(ended.output, absl::StrCat(port))) << ended.output;
  EXPECT_FALSE(absl::StrContains(ended.output, "hunter2")) << ended.output;
  EXPECT_LE(Lines(ended.output), 2) << ended.output;
}

TEST(StartupTest, ADatabaseThatIsMissingIsToBeCreatedAndNotStarted) {
  const std::string missing = WithDatabase(SharedPostgres(), "nowhere_at_all");
  for (const std::string binary : {"tranche-worker", "tranche-migrate"}) {
    const Ended ended = RunToEnd(binary, binary == "tranche-migrate" ? std::vector<std::string>{"--postgres", missing}
                                                                     : StartArgs(binary, missing));
    EXPECT_EQ(ended.status, 2);
    EXPECT_TRUE(absl::StrContains(ended.output, "--postgres")) << ended.output;
    EXPECT_FALSE(absl::StrContains(ended.output, "start it")) << ended.output;
  }
}

TEST(StartupTest, AnUnreachableZookeeperIsNamed) {
  const TestDatabase database;
  const int port = PickFreePort();
  const Ended ended = RunToEnd("tranched", {"--listen", "127.0.0.1:0", "--startup-timeout-ms", "2000", "--zookeeper",
                                            absl::StrCat("127.0.0.1:", port), "--postgres", database.node_dsn()});
  EXPECT_EQ(ended.status, 2);
  EXPECT_TRUE(absl::StrContains(ended.output, absl::StrCat("127.0.0.1:", port))) << ended.output;
}

TEST(StartupTest, ADatabaseThatWasNotMigratedSaysHowTo) {
  const std::string empty = WithDatabase(SharedPostgres(), "postgres");
  const Ended ended = RunToEnd("tranched", {"--listen", "127.0.0.1:0", "--startup-timeout-ms", "2000", "--zookeeper",
                                            "127.0.0.1:1", "--postgres", empty});
  EXPECT_EQ(ended.status, 2);
  EXPECT_TRUE(absl::StrContains(ended.output, "tranche-migrate")) << ended.output;
}

void AwaitLog(ServerProcess& process, const std::string& text) {
  const absl::Time give_up = absl::Now() + absl::Seconds(30);
  while (process.LogLinesWith(text) == 0) {
    ASSERT_TRUE(process.Running() && absl::Now() < give_up) << process.LogTail();
    RestBetweenLooks();
  }
}

void AwaitRuns(ServerProcess& worker) { AwaitLog(worker, " runs, PostgreSQL at "); }

// What each kind of process says at its start, with this database.
void ExpectAllRefuse(const TestDatabase& database, const std::string& reason) {
  for (const std::string binary : {"tranched", "tranche-balancer", "tranche-worker"}) {
    const Ended ended = RunToEnd(binary, StartArgs(binary, database.node_dsn()));
    EXPECT_EQ(ended.status, 2) << binary;
    EXPECT_TRUE(absl::StrContains(ended.output, reason)) << binary << ": " << ended.output;
    EXPECT_LE(Lines(ended.output), 2) << ended.output;
  }
}

// The first thing that is asked for has existed since the first version.
TEST(StartupTest, ADatabaseFromBeforeSchemasHadVersionsSaysHowTo) {
  const TestDatabase database;
  ASSERT_TRUE(ExecuteSql(database.owner_dsn(), "DROP FUNCTION tranche.shard_identity(), tranche.schema_range()").ok());
  ExpectAllRefuse(database, "lacks this version's schema: run tranche-migrate");
}

TEST(StartupTest, ADatabaseOfAnOlderSchemaSaysHowTo) {
  const TestDatabase database;
  const std::string last = absl::StrCat(storage::SchemaVersion());
  ASSERT_TRUE(ExecuteSql(database.owner_dsn(),
                         absl::StrCat("DELETE FROM tranche.schema_migration WHERE name ~ '^0*", last, "_'"))
                  .ok());
  ExpectAllRefuse(database, absl::StrCat("this version needs ", last, ": run this version's tranche-migrate"));
}

TEST(StartupTest, ADatabaseThatServesNewerVersionsOnlySaysThatThisOneIsTooOld) {
  const TestDatabase database;
  ASSERT_TRUE(ExecuteSql(database.owner_dsn(), R"(
    CREATE OR REPLACE FUNCTION tranche.schema_range() RETURNS TABLE (version integer, oldest_server integer)
    LANGUAGE sql STABLE AS 'SELECT 1001, 1000')")
                  .ok());
  ExpectAllRefuse(database, "the database's schema 1001 serves versions from 1000 on: install the version");
}

// A standby lets everybody in, and answers what only reads.
TEST(StartupTest, AServerThatTakesNoChangesIsNamed) {
  const TestDatabase database;
  ASSERT_TRUE(ExecuteSql(database.owner_dsn(),
                         "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', "
                         "current_database()); END $$")
                  .ok());
  ExpectAllRefuse(database, "cannot be used (this server is a standby or read-only: --postgres must name the primary");
}

// libpq takes the first host whose sessions may write.
TEST(StartupTest, OfSeveralHostsTheOneThatTakesChangesIsUsed) {
  MiniPostgres read_only, primary;
  ASSERT_TRUE(read_only.Start().ok());
  ASSERT_TRUE(ExecuteSql(read_only.dsn(), "ALTER DATABASE tranche SET default_transaction_read_only = on").ok());
  ASSERT_TRUE(primary.Start().ok());
  const std::string both =
      absl::StrCat("host=127.0.0.1,127.0.0.1 port=", read_only.port(), ",", primary.port(),
                   " dbname=tranche user=", MiniPostgres::kNodeRole, " target_session_attrs=read-write");
  const ScratchDir scratch("startup");
  auto worker = ServerProcess::Start("worker", "tranche-worker", {"--postgres", both}, scratch.path());
  ASSERT_TRUE(worker.ok()) << worker.status();
  AwaitRuns(**worker);
}

// A newer schema that serves this version, too, as while a new version is rolled out.
TEST(StartupTest, ANewerSchemaThatServesThisVersionIsNoObstacle) {
  const TestDatabase database;
  ASSERT_TRUE(ExecuteSql(database.owner_dsn(), R"(
    SET tranche.schema_version = '1001';
    INSERT INTO tranche.schema_migration (name, kind, md5) VALUES ('1001_more', 'migration', ''))")
                  .ok());
  const ScratchDir scratch("startup");
  auto worker = ServerProcess::Start("worker", "tranche-worker", {"--postgres", database.node_dsn()}, scratch.path());
  ASSERT_TRUE(worker.ok()) << worker.status();
  AwaitRuns(**worker);
}

// PgBouncer keeps a server's prepared statements in transaction mode, so that the second process meets those of the
// first.
TEST(StartupTest, BehindPgbouncerOnlyItsSessionModeWill) {
  MiniPostgres postgres;
  ASSERT_TRUE(postgres.Start().ok());
  MiniPgbouncer swaps(postgres, "transaction"), keeps(postgres, "session");
  for (MiniPgbouncer* pooler : {&swaps, &keeps}) {
    const absl::Status started = pooler->Start();
    ASSERT_TRUE(started.ok()) << started;
  }
  for (int i = 0; i < 2; ++i) {
    for (const std::string binary : {"tranched", "tranche-balancer", "tranche-worker"}) {
      const Ended ended = RunToEnd(binary, StartArgs(binary, swaps.node_dsn()));
      EXPECT_EQ(ended.status, 2) << binary;
      EXPECT_TRUE(absl::StrContains(ended.output, "in transaction mode lies between: use its session mode"))
          << binary << ": " << ended.output;
    }
  }
  const ScratchDir scratch("startup");
  auto worker = ServerProcess::Start("worker", "tranche-worker", {"--postgres", keeps.node_dsn()}, scratch.path());
  ASSERT_TRUE(worker.ok()) << worker.status();
  AwaitRuns(**worker);
}

TEST(StartupTest, MigratingADatabaseOfANewerVersionChangesNothing) {
  const TestDatabase database;
  ASSERT_TRUE(ExecuteSql(database.owner_dsn(), R"(
    SET tranche.schema_version = '1001';
    INSERT INTO tranche.schema_migration (name, kind, md5) VALUES ('1001_more', 'migration', ''))")
                  .ok());
  const Ended ended = RunToEnd("tranche-migrate", {"--postgres", database.owner_dsn()});
  EXPECT_EQ(ended.status, 2);
  EXPECT_TRUE(absl::StrContains(ended.output, "was not changed")) << ended.output;
  EXPECT_TRUE(absl::StrContains(ended.output, "this tranche-migrate is too old")) << ended.output;
  EXPECT_TRUE(absl::StrContains(ended.output, "1001_more")) << ended.output;
}

// With the ZooKeeper of this system and the database of another one, say staging's.
TEST(StartupTest, WithAnothersTreeANodeRefusesToStartAndABalancerWaits) {
  const TestDatabase owner, other;
  // Test databases are copies of one, and have its id.
  ASSERT_TRUE(ExecuteSql(other.owner_dsn(), "UPDATE tranche.shard_identity SET ledger_id = gen_random_uuid()").ok());
  const TestRoot root;
  const ScratchDir scratch("startup");
  const auto args = [&](const TestDatabase& database) {
    return std::vector<std::string>{"--postgres",      database.node_dsn(), "--zookeeper",
                                    SharedZookeeper(), "--zookeeper-root",  root.path()};
  };
  const auto start = [&](const std::string& name, const TestDatabase& database) {
    return ServerProcess::Start(name, "tranche-balancer", args(database), scratch.path()).value();
  };
  DeafObserver observer;
  const auto tree = quota::ZookeeperConnector({.servers = SharedZookeeper(), .root = root.path()}).Connect(&observer);
  ASSERT_TRUE(tree.ok()) << tree.status();
  const auto owners = start("owners", owner);
  AwaitLog(*owners, " leads, shard home");
  const absl::Time give_up = absl::Now() + absl::Seconds(30);
  while (!(*tree)->Get(quota::LedgerMarkPath(), quota::Watch::kNo).ok() && absl::Now() < give_up) {
    RestBetweenLooks();
  }

  std::vector<std::string> node_args = args(other);
  node_args.insert(node_args.end(), {"--listen", "127.0.0.1:0", "--port-file", (scratch.path() / "port").string()});
  const Ended node = RunToEnd("tranched", node_args);
  EXPECT_EQ(node.status, 2);
  EXPECT_TRUE(absl::StrContains(node.output, "tranched: /ledger/home in ZooKeeper is of the database")) << node.output;
  const auto others = start("others", other);
  AwaitLog(*others, "does not lead, shard home: /ledger/home in ZooKeeper is of the database");

  // An operator puts the other database in its place.
  ASSERT_TRUE(owners->Terminate(absl::Seconds(30)).ok());
  EXPECT_EQ(others->LogLinesWith(" leads, shard home"), 0);
  ASSERT_TRUE(quota::RequestNewHistoryOfAnyLedger(**tree).ok());
  AwaitLog(*others, " leads, shard home");
  const auto serves = ServerProcess::Start("node", "tranched", node_args, scratch.path());
  ASSERT_TRUE(serves.ok()) << serves.status();
  const auto port = (*serves)->WaitForPort(scratch.path() / "port", absl::Seconds(30));
  EXPECT_TRUE(port.ok()) << port.status();
}

TEST(StartupTest, HelpTeaches) {
  for (const std::string binary : {"tranched", "tranche-balancer", "tranche-migrate"}) {
    const Ended ended = RunToEnd(binary, {"--help"});
    EXPECT_EQ(ended.status, 0) << binary;
    EXPECT_TRUE(absl::StrContains(ended.output, "--postgres")) << ended.output;
  }
}

}  // namespace
}  // namespace tranche::testing
