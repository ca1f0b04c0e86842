// Starting with a mistake: one line that says what to do, and an exit status that scripts can use.

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/support/child_process.h"
#include "tests/support/free_port.h"
#include "tests/support/mini_postgres.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/server_process.h"
#include "tests/support/test_postgres.h"

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

int Lines(const std::string& text) { return static_cast<int>(std::count(text.begin(), text.end(), '\n')); }

TEST(StartupTest, AWrongFlagIsNamed) {
  const Ended ended = RunToEnd("tranched", {"--lanes", "many"});
  EXPECT_EQ(ended.status, 1);
  EXPECT_TRUE(absl::StrContains(ended.output, "lanes")) << ended.output;
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

// The first thing that is asked for has existed since the first version.
TEST(StartupTest, ADatabaseOfAnEarlierVersionSaysHowTo) {
  const TestDatabase database;
  ASSERT_TRUE(ExecuteSql(database.owner_dsn(), "DROP FUNCTION tranche.shard_identity()").ok());
  const Ended ended = RunToEnd("tranche-worker", {"--startup-timeout-ms", "2000", "--postgres", database.node_dsn()});
  EXPECT_EQ(ended.status, 2);
  EXPECT_TRUE(absl::StrContains(ended.output, "lacks this version's schema: run tranche-migrate")) << ended.output;
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
