// What the suites on PostgreSQL rely on: the database that a case gets holds nothing of the case before.
#include "tests/support/lent_database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <pqxx/pqxx>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/support/mini_postgres.h"
#include "tests/support/saved_state.h"

namespace tranche::testing {
namespace {

using ::testing::HasSubstr;

using StateByName = std::map<std::string, std::string>;

// Rows that no procedure would write become possible: a new table needs nothing here.
constexpr char kAllowAnyRow[] = R"(
  SET client_min_messages = warning;
  DO $$
  DECLARE
    v record;
  BEGIN
    FOR v IN SELECT k.conrelid::regclass AS relation, k.conname FROM pg_constraint k
             WHERE k.connamespace = 'tranche'::regnamespace AND k.conrelid <> 0 AND k.contype <> 't' LOOP
      EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I CASCADE', v.relation, v.conname);
    END LOOP;
    FOR v IN SELECT a.attrelid::regclass AS relation, a.attname
             FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
             WHERE c.relnamespace = 'tranche'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
               AND a.attnotnull AND a.attidentity = '' AND NOT a.attisdropped LOOP
      EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL', v.relation, v.attname);
    END LOOP;
  END
  $$)";
// `statement` for every table, %s, and every sequence goes on.
std::string Everywhere(const std::string& statement) {
  return absl::StrCat(R"(
    SET session_replication_role = replica;
    DO $$
    DECLARE
      v regclass;
    BEGIN
      FOR v IN SELECT w.relation FROM saved_state.watched w WHERE w.relkind = 'r' LOOP
        EXECUTE format(')",
                      statement, R"(', v);
      END LOOP;
      PERFORM nextval(w.relation) FROM saved_state.watched w WHERE w.relkind = 'S';
    END
    $$)");
}

StateByName Described(const std::string& owner_dsn) {
  auto contents = DescribeState(owner_dsn);
  EXPECT_TRUE(contents.ok()) << contents.status();
  return contents.ok() ? *std::move(contents) : StateByName();
}

void MustExecute(const TestDatabase& database, const std::string& sql) {
  const absl::Status done = ExecuteSql(database.owner_dsn(), sql);
  ASSERT_TRUE(done.ok()) << done;
}

TEST(LentDatabaseTest, WhateverWasWrittenIsGoneAndWhateverWasThereIsBack) {
  const TestDatabase fresh, used;
  const StateByName expected = Described(fresh.owner_dsn());
  ASSERT_TRUE(expected.contains("tranche.reservation") && expected.contains("tranche.audit_log_audit_id_seq"));
  MustExecute(used, kAllowAnyRow);
  ASSERT_TRUE(SaveState(used.owner_dsn()).ok());

  MustExecute(used, Everywhere("INSERT INTO %s DEFAULT VALUES"));
  const StateByName filled = Described(used.owner_dsn());
  for (const auto& [name, held] : expected) EXPECT_NE(filled.at(name), held) << name << " is not put to the test";
  ASSERT_TRUE(RestoreState(used.owner_dsn()).ok());
  EXPECT_EQ(Described(used.owner_dsn()), expected);

  MustExecute(used, Everywhere("DELETE FROM %s"));
  EXPECT_NE(Described(used.owner_dsn()), expected);
  ASSERT_TRUE(RestoreState(used.owner_dsn()).ok());
  EXPECT_EQ(Described(used.owner_dsn()), expected);
  ASSERT_TRUE(RestoreState(used.owner_dsn()).ok()) << "also if nothing has changed";
  EXPECT_EQ(Described(used.owner_dsn()), expected);
}

TEST(LentDatabaseTest, WhatCannotBeBroughtBackIsNoticed) {
  for (const std::string change :
       {"ALTER TABLE tranche.sku ADD COLUMN more integer", "DROP FUNCTION tranche.list_skus(text, integer, text)",
        "GRANT SELECT ON tranche.sku TO tranche_app", "CREATE TABLE public.more (n integer)",
        "ALTER TABLE tranche.reservation DISABLE TRIGGER reservation_transition"}) {
    const TestDatabase used;
    ASSERT_TRUE(SaveState(used.owner_dsn()).ok());
    ASSERT_TRUE(RestoreState(used.owner_dsn()).ok());
    MustExecute(used, change);
    const absl::Status refused = RestoreState(used.owner_dsn());
    EXPECT_THAT(std::string(refused.message()), HasSubstr("a test has changed the schema")) << change;
  }
}

TEST(LentDatabaseTest, TheNextOneFindsNobodyConnectedAndNothingLocked) {
  std::string dsn;
  std::unique_ptr<pqxx::connection> left_open;
  std::unique_ptr<pqxx::work> unfinished;
  {
    const LentDatabase lent;
    dsn = lent.owner_dsn();
    left_open = std::make_unique<pqxx::connection>(dsn);
    unfinished = std::make_unique<pqxx::work>(*left_open);
    unfinished->exec("LOCK TABLE tranche.sku");
  }
  const LentDatabase again;
  ASSERT_EQ(again.owner_dsn(), dsn) << "this is about one that is lent again";
  pqxx::connection connection(dsn);
  pqxx::nontransaction work(connection);
  EXPECT_EQ(work.exec1("SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation "
                       "WHERE c.relname = 'sku' AND l.mode = 'AccessExclusiveLock'")[0]
                .as<int>(),
            0);
}

// At the end of the process, after all its cases.
class NothingIsLeftOfAnyCase : public ::testing::Environment {
 public:
  void TearDown() override {
    if (!LentDatabase::AnyMade()) return;
    const LentDatabase used;
    const TestDatabase fresh;
    EXPECT_EQ(Described(used.owner_dsn()), Described(fresh.owner_dsn()));
  }
};
[[maybe_unused]] const ::testing::Environment* const nothing_is_left =
    ::testing::AddGlobalTestEnvironment(new NothingIsLeftOfAnyCase);

}  // namespace
}  // namespace tranche::testing
