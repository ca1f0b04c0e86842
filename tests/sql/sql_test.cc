// Runs each .sql file of this folder by pg_prove, in a database of its own on a private server. Not on
// TRANCHE_TEST_POSTGRES: the tests need extensions (pgTAP, plpgsql_check, dblink) that a server seldom has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/postgres/migrator.h"
#include "tests/support/child_process.h"
#include "tests/support/mini_postgres.h"
#include "tests/support/scratch_dir.h"

namespace tranche::testing {
namespace {

std::vector<std::string> TestFiles() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(TRANCHE_SQL_TEST_DIR)) {
    if (entry.path().extension() == ".sql") names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class SqlTest : public ::testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() {
    postgres_ = new MiniPostgres({.fsync = Fsync::kOff});
    ASSERT_TRUE(postgres_->Start().ok());
    for (const char* extension : {"pgtap", "plpgsql_check", "dblink"}) {
      const absl::Status made = ExecuteSql(postgres_->dsn(), absl::StrCat("CREATE EXTENSION ", extension));
      ASSERT_TRUE(made.ok()) << made;
    }
  }

  static void TearDownTestSuite() {
    delete postgres_;
    postgres_ = nullptr;
  }

  static MiniPostgres* postgres_;
};

MiniPostgres* SqlTest::postgres_ = nullptr;

INSTANTIATE_TEST_SUITE_P(Files, SqlTest, ::testing::ValuesIn(TestFiles()), [](const auto& info) { return info.param; });

TEST(MigrateTest, AfterAMigrationAllProceduresAreThere) {
  MiniPostgres postgres({.fsync = Fsync::kOff});
  ASSERT_TRUE(postgres.Start().ok());
  EXPECT_THAT(*storage::Migrate(postgres.dsn()), ::testing::IsEmpty());
  // As if the migration were new, and had dropped a procedure whose text is unchanged.
  const absl::Status dropped = ExecuteSql(postgres.dsn(), R"(
    DELETE FROM tranche.schema_migration WHERE name = '0005_reservation_answers';
    DROP FUNCTION tranche.list_skus(text, integer, text);)");
  ASSERT_TRUE(dropped.ok()) << dropped;
  EXPECT_THAT(*storage::Migrate(postgres.dsn()), ::testing::Contains("list_skus"));
  const absl::Status called = ExecuteSql(postgres.node_dsn(), "SELECT tranche.list_skus('', 1)");
  EXPECT_TRUE(called.ok()) << called;
}

TEST_P(SqlTest, Passes) {
  const std::string database = absl::StrCat("test_", GetParam());
  const absl::Status copied =
      ExecuteSql(postgres_->Dsn("postgres"), absl::StrCat("CREATE DATABASE ", database, " TEMPLATE tranche"));
  ASSERT_TRUE(copied.ok()) << copied;
  const ScratchDir scratch("sql");
  const std::string log = scratch.path() / "pg_prove.log";
  const auto prove = ChildProcess::Start({
      .args = {"pg_prove", "--verbose", "--host", "127.0.0.1", "--port", absl::StrCat(postgres_->port()), "--username",
               MiniPostgres::kSuperuser, "--dbname", database, absl::StrCat(GetParam(), ".sql")},
      .env = {},
      .working_dir = TRANCHE_SQL_TEST_DIR,
      .log_file = log,
      .user = "",
  });
  ASSERT_TRUE(prove.ok()) << prove.status();
  const auto exit_status = (*prove)->Wait(absl::Seconds(60));
  const std::string output = FileContents(log);
  ASSERT_TRUE(exit_status.ok()) << exit_status.status() << "\n" << output;
  EXPECT_EQ(*exit_status, 0) << output;
}

}  // namespace
}  // namespace tranche::testing
