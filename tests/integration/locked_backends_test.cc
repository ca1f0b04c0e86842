// A cluster whose PostgreSQL and ZooKeeper let in nobody without a secret: it sells, its password can be changed while
// it does, and its secrets are nowhere but in their files.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <pqxx/pqxx>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "quota/zookeeper/zookeeper_coordination.h"
#include "tests/integration/sale_fixture.h"
#include "tests/support/recording_observer.h"

namespace tranche::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr absl::Duration kPatience = absl::Seconds(60);
// What is in every secret of the cluster, the second password included, and nowhere else.
constexpr char kInSecrets[] = "s3cret";
constexpr char kSecondPassword[] = "another s3cret' of \\PostgreSQL";

class LockedBackendsTest : public SaleTest {
 protected:
  void SetUp() override {
    MiniClusterOptions options;
    options.nodes = 1;
    options.locked_backends = true;
    StartCluster(options);
  }

  // Tries until a node has connections again.
  void Buy(const std::string& user) {
    const CreateReservation claim{.sku = "tv", .user = user, .reservation_id = MakeUuidV7()};
    const absl::Time give_up = absl::Now() + kPatience;
    absl::Status bought = absl::UnavailableError("not tried");
    while (!bought.ok() && absl::Now() < give_up) bought = client_->Create(claim).status();
    EXPECT_TRUE(bought.ok()) << bought << "\n" << cluster_->node(0).LogTail();
  }

  // How many sessions of the processes there are, over TLS or without.
  int Sessions(bool tls) {
    pqxx::connection connection(cluster_->postgres().dsn());
    pqxx::nontransaction query(connection);
    return query
        .exec_params1(
            "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = $1 AND ssl = $2",
            MiniPostgres::kNodeRole, tls)[0]
        .as<int>();
  }

  std::vector<ServerProcess*> Processes() { return {&cluster_->node(0), &cluster_->balancer(0), &cluster_->worker(0)}; }

  // In logs and command lines.
  void ExpectNoSecretShown() {
    for (ServerProcess* const process : Processes()) {
      EXPECT_THAT(FileContents(process->log_file()), Not(HasSubstr(kInSecrets))) << process->name();
      const std::string arguments = FileContents(absl::StrCat("/proc/", process->process().pid(), "/cmdline"));
      EXPECT_THAT(arguments, HasSubstr("--postgres-password-file"));
      EXPECT_THAT(arguments, Not(HasSubstr(kInSecrets))) << process->name();
    }
  }

  quota::ZookeeperOptions ZookeeperOptionsWith(const std::string& auth_file) {
    quota::ZookeeperOptions options;
    options.servers = cluster_->zookeeper().connect_string();
    options.root = cluster_->zookeeper_root();
    options.auth_file = auth_file;
    return options;
  }

  // Of `path` and everything below it; counts the znodes.
  int ExpectNoSecretBelow(quota::Coordination& session, const std::string& path) {
    const auto node = session.Get(path, quota::Watch::kNo);
    const auto names = session.List(path, quota::Watch::kNo);
    if (!node.ok() || !names.ok()) return 0;  // it has gone
    EXPECT_THAT(node->data, Not(HasSubstr(kInSecrets))) << path;
    int count = 1;
    for (const std::string& name : *names) {
      count += ExpectNoSecretBelow(session, absl::StrCat(path == "/" ? "" : path, "/", name));
    }
    return count;
  }

  // The output of a process that cannot start.
  std::string RunToEnd(const std::string& binary, const std::vector<std::string>& more_args) {
    std::vector<std::string> args = {"--postgres", cluster_->app_dsn(), "--startup-timeout-ms", "2000"};
    args.insert(args.end(), more_args.begin(), more_args.end());
    auto process = ServerProcess::Start(absl::StrCat("failing-", ++failing_), binary, args, cluster_->dir());
    EXPECT_TRUE(process.ok()) << process.status();
    EXPECT_EQ((*process)->process().Wait(kPatience).value_or(-1), 2);
    return FileContents((*process)->log_file());
  }

  int failing_ = 0;
};

TEST_F(LockedBackendsTest, SellsWhileItsPasswordChangesAndShowsNoSecret) {
  OpenSale("tv", 3);
  Buy("alice");
  EXPECT_GT(Sessions(/*tls=*/true), 0);
  EXPECT_EQ(Sessions(/*tls=*/false), 0);

  ASSERT_TRUE(cluster_->ChangePostgresPassword(kSecondPassword).ok());
  const absl::Status ended =
      ExecuteSql(cluster_->postgres().dsn(),
                 absl::StrCat("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = '",
                              MiniPostgres::kNodeRole, "'"));
  ASSERT_TRUE(ended.ok()) << ended;
  Buy("bob");
  EXPECT_GT(Sessions(/*tls=*/true), 0) << "with the new password";
  EXPECT_EQ(RowsOf("tv").size(), 2u);

  ExpectNoSecretShown();
  RecordingObserver observer;
  const auto allowed =
      quota::ZookeeperConnector(ZookeeperOptionsWith(cluster_->zookeeper_auth_file().string())).Connect(&observer);
  ASSERT_TRUE(allowed.ok()) << allowed.status();
  EXPECT_GT(ExpectNoSecretBelow(**allowed, "/"), 10);
  const auto stranger = quota::ZookeeperConnector(ZookeeperOptionsWith("")).Connect(&observer);
  EXPECT_TRUE(absl::IsPermissionDenied(stranger.status())) << stranger.status();
  CheckLedger();
}

TEST_F(LockedBackendsTest, WhoHasAnotherSecretIsToldWhichFileIsWrong) {
  const std::filesystem::path wrong = cluster_->dir() / "wrong";
  std::ofstream(wrong) << "tranche:wr0ng\n";
  std::filesystem::permissions(wrong, std::filesystem::perms::owner_read);

  const std::string worker = RunToEnd("tranche-worker", {"--postgres-password-file", wrong.string()});
  EXPECT_THAT(worker, HasSubstr("SQLSTATE 28P01"));
  EXPECT_THAT(worker, HasSubstr("the file of --postgres-password-file"));
  EXPECT_THAT(worker, Not(HasSubstr("wr0ng")));
  // Nothing is given to libpq.
  EXPECT_THAT(RunToEnd("tranche-worker", {}), HasSubstr("the file of --postgres-password-file"));

  std::vector<std::string> balancer = {"--postgres-password-file",
                                       cluster_->postgres_password_file().string(),
                                       "--zookeeper",
                                       cluster_->zookeeper().connect_string(),
                                       "--zookeeper-root",
                                       cluster_->zookeeper_root()};
  EXPECT_THAT(RunToEnd("tranche-balancer", balancer), HasSubstr("give this process the --zookeeper-auth-file"));
  balancer.insert(balancer.end(), {"--zookeeper-auth-file", wrong.string()});
  const std::string other = RunToEnd("tranche-balancer", balancer);
  EXPECT_THAT(other, HasSubstr("its --zookeeper-auth-file must have the same line"));
  EXPECT_THAT(other, Not(HasSubstr("wr0ng")));
}

}  // namespace
}  // namespace tranche::testing
