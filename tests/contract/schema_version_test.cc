// Programs and schemas of different versions meet: an older migrator, an encoding that does not fit, and procedures
// that answer what this version does not expect.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <pqxx/pqxx>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "storage/ledger/ledger_error.h"
#include "storage/postgres/connection_pool.h"
#include "storage/postgres/migrator.h"
#include "storage/postgres/postgres_front_ledger.h"
#include "storage/postgres/postgres_ledger.h"
#include "storage/postgres/postgres_lifecycle_ledger.h"
#include "storage/postgres/postgres_outbox_ledger.h"
#include "storage/postgres/postgres_payment_ledger.h"
#include "storage/postgres/postgres_shard_ledger.h"
#include "storage/postgres/postgres_sku_move_ledger.h"
#include "storage/postgres/postgres_upkeep_ledger.h"
#include "tests/support/claims.h"
#include "tests/support/mini_postgres.h"
#include "tests/support/test_postgres.h"

namespace tranche::storage {
namespace {

using testing::Claim;
using testing::ExecuteSql;
using ::testing::HasSubstr;
using testing::NewId;

std::string ValueOf(const std::string& dsn, const std::string& query) {
  pqxx::connection connection(dsn);
  pqxx::nontransaction transaction(connection);
  return transaction.exec1(query)[0].as<std::string>();
}

// As if the next version had been here: a migration that this one does not know, and a procedure with a newer text.
void MigrateToTheNextVersion(const std::string& dsn) {
  const absl::Status done = ExecuteSql(dsn, R"(
    SET tranche.schema_version = '1001';
    INSERT INTO tranche.schema_migration (name, kind, md5) VALUES ('1001_more', 'migration', '');
    UPDATE tranche.schema_migration SET md5 = 'newer' WHERE name = 'list_skus')");
  ASSERT_TRUE(done.ok()) << done;
}

constexpr char kTextOfOne[] = "SELECT md5 FROM tranche.schema_migration WHERE name = 'list_skus'";

TEST(MigrateAgainTest, AMigratorThatLacksAMigrationChangesNothing) {
  const testing::TestDatabase database;
  MigrateToTheNextVersion(database.owner_dsn());
  const absl::Status refused = Migrate(database.owner_dsn()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("too old: it does not know what was applied there (1001_more)"));
  EXPECT_EQ(ValueOf(database.owner_dsn(), kTextOfOne), "newer");
}

// What migrators from before schema 0009 do first, and then for each of their procedures.
constexpr char kOlderMigrator[] = R"(
  BEGIN;
  SELECT pg_advisory_xact_lock(hashtextextended('tranche.schema_migration', 0));
  CREATE SCHEMA IF NOT EXISTS tranche;
  CREATE TABLE IF NOT EXISTS tranche.schema_migration (
    name       text PRIMARY KEY,
    kind       text NOT NULL CHECK (kind IN ('migration', 'procedure')),
    md5        text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
  );
  CREATE OR REPLACE FUNCTION tranche.record_migration(p_name text, p_kind text, p_text text)
  RETURNS text
  LANGUAGE plpgsql VOLATILE
  AS $$
  DECLARE
    v_md5 text;
  BEGIN
    SELECT md5 INTO v_md5 FROM tranche.schema_migration WHERE name = p_name;
    IF v_md5 = md5(p_text) THEN
      RETURN 'SKIP';
    ELSIF v_md5 IS NOT NULL AND p_kind = 'migration' THEN
      RETURN 'CHANGED';
    END IF;
    INSERT INTO tranche.schema_migration (name, kind, md5) VALUES (p_name, p_kind, md5(p_text))
    ON CONFLICT (name) DO UPDATE SET md5 = excluded.md5, applied_at = now();
    RETURN 'APPLY';
  END
  $$;
  SELECT tranche.record_migration('list_skus', 'procedure', 'an older text');
  CREATE OR REPLACE FUNCTION tranche.list_pooled_skus(p_after text, p_limit integer) RETURNS SETOF text
  LANGUAGE sql AS 'SELECT ''older''';
  COMMIT)";

TEST(MigrateAgainTest, AMigratorFromBeforeTheRuleChangesNothing) {
  const testing::TestDatabase database;
  const std::string before = ValueOf(database.owner_dsn(), kTextOfOne);
  const absl::Status refused = ExecuteSql(database.owner_dsn(), kOlderMigrator);
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr(absl::StrCat("too old: the schema is of version ", SchemaVersion())));
  EXPECT_EQ(ValueOf(database.owner_dsn(), kTextOfOne), before);
  EXPECT_EQ(ValueOf(database.owner_dsn(), "SELECT count(*) FROM tranche.list_pooled_skus('', 10)"), "0");
  // Nothing is left of it that would be in the way of the right one.
  const auto again = Migrate(database.owner_dsn());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_THAT(*again, ::testing::IsEmpty());
}

// Otherwise the test above would say nothing: this is what such a migrator does where it is not stopped.
TEST(MigrateAgainTest, WithoutTheRuleSuchAMigratorReplacesProcedures) {
  const testing::TestDatabase database;
  ASSERT_TRUE(ExecuteSql(database.owner_dsn(), "DROP TRIGGER refuse_older_migrator ON tranche.schema_migration").ok());
  const absl::Status done = ExecuteSql(database.owner_dsn(), kOlderMigrator);
  ASSERT_TRUE(done.ok()) << done;
  EXPECT_EQ(ValueOf(database.owner_dsn(), "SELECT tranche.list_pooled_skus('', 10)"), "older");
}

// As if another build of the same schema version had been here: no migration tells which of the two is newer.
TEST(MigrateAgainTest, ProceduresOfAnotherBuildAreReplacedOnlyIfThatIsAskedFor) {
  const testing::TestDatabase database;
  ASSERT_TRUE(ExecuteSql(database.owner_dsn(), absl::StrCat(R"(
    SET tranche.schema_version = ')",
                                                            SchemaVersion(), R"(';
    UPDATE tranche.schema_migration SET md5 = 'theirs' WHERE name IN ('list_skus', 'get_outbox');
    INSERT INTO tranche.schema_migration (name, kind, md5) VALUES ('of_an_older_version', 'procedure', ''))"))
                  .ok());
  const absl::Status refused = Migrate(database.owner_dsn()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr(absl::StrCat("another build of schema version ", SchemaVersion(),
                                     " made some procedures there (get_outbox, list_skus)")));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("--replace-procedures on"));
  EXPECT_EQ(ValueOf(database.owner_dsn(), kTextOfOne), "theirs");
  const auto replaced = Migrate(database.owner_dsn(), OtherProcedures::kReplace);
  ASSERT_TRUE(replaced.ok()) << replaced.status();
  EXPECT_THAT(*replaced, ::testing::ElementsAre("get_outbox", "list_skus", "zz_grants"));
  EXPECT_NE(ValueOf(database.owner_dsn(), kTextOfOne), "theirs");
  EXPECT_THAT(*Migrate(database.owner_dsn()), ::testing::IsEmpty());
}

// The newer migration says who is newer. This one can be applied twice.
TEST(MigrateAgainTest, AfterAMigrationAllProceduresAreThisBuilds) {
  const testing::TestDatabase database;
  const std::string theirs = absl::StrCat("SET tranche.schema_version = '", SchemaVersion(), R"(';
    UPDATE tranche.schema_migration SET md5 = 'theirs' WHERE name = 'list_skus';
    DELETE FROM tranche.schema_migration WHERE name = '0011_one_locked_sku')");
  ASSERT_TRUE(ExecuteSql(database.owner_dsn(), theirs).ok());
  const auto migrated = Migrate(database.owner_dsn());
  ASSERT_TRUE(migrated.ok()) << migrated.status();
  EXPECT_NE(ValueOf(database.owner_dsn(), kTextOfOne), "theirs");
}

TEST(MigrateAgainTest, ADatabaseOfAnotherEncodingIsRefusedAndStaysEmpty) {
  const std::string& server = testing::SharedPostgres();
  const std::string name = absl::StrCat("tranche_latin_", absl::ToUnixMicros(absl::Now()));
  const absl::Status made =
      ExecuteSql(server, absl::StrCat("CREATE DATABASE ", name, " ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"));
  ASSERT_TRUE(made.ok()) << made;
  const std::string dsn = testing::WithDatabase(server, name);
  const absl::Status refused = Migrate(dsn).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("its encoding is LATIN1; create it with ENCODING 'UTF8'"));
  EXPECT_EQ(ValueOf(dsn, "SELECT count(*) FROM pg_namespace WHERE nspname = 'tranche'"), "0");
  ASSERT_TRUE(ExecuteSql(server, absl::StrCat("DROP DATABASE ", name)).ok());
}

// Every procedure that servers may call becomes one that answers with this query of one column.
void AnswerEverythingWith(const std::string& dsn, const std::string& query) {
  const absl::Status done = ExecuteSql(dsn, absl::StrReplaceAll(R"(
    DO $do$
    DECLARE
      p record;
    BEGIN
      FOR p IN SELECT o.proname, pg_get_function_identity_arguments(o.oid) AS types,
                      pg_get_function_arguments(o.oid) AS arguments
               FROM pg_proc o
               WHERE o.pronamespace = 'tranche'::regnamespace AND has_function_privilege('tranche_app', o.oid, 'EXECUTE') LOOP
        EXECUTE format('DROP FUNCTION tranche.%I(%s) CASCADE', p.proname, p.types);
        EXECUTE format('CREATE FUNCTION tranche.%I(%s) RETURNS TABLE (of_another_version text) LANGUAGE sql AS %L',
                       p.proname, p.arguments, $$QUERY$$);
      END LOOP;
    END
    $do$)",
                                                                {{"QUERY", query}}));
  ASSERT_TRUE(done.ok()) << done;
}

// All ledgers over one pool.
struct Ledgers {
  explicit Ledgers(ConnectionPool* pool)
      : sales(pool),
        stock(pool),
        lifecycle(pool),
        outbox(pool),
        payments(pool),
        shards(pool),
        moves(pool),
        upkeep(pool) {}
  PostgresLedger sales;
  PostgresStockLedger stock;
  PostgresLifecycleLedger lifecycle;
  PostgresOutboxLedger outbox;
  PostgresPaymentLedger payments;
  PostgresShardLedger shards;
  PostgresSkuMoveLedger moves;
  PostgresUpkeepLedger upkeep;
};

struct NamedCall {
  const char* name;
  std::function<absl::Status(Ledgers&)> call;
};

const OutboxKey kKey{Uuid{}, 2, "default"};
const Payment kPayment{Uuid{}, "p", 1, "EUR"};

std::vector<NamedCall> SalesChanges() {
  return {
      {"CommitReservations",
       [](Ledgers& l) { return l.sales.CommitReservations(1, LockMode::kWait, {Claim("tv", "a")}).status(); }},
      {"ConfirmReservations", [](Ledgers& l) { return l.lifecycle.ConfirmReservations({kPayment}).status(); }},
      {"CancelReservations",
       [](Ledgers& l) {
         return l.lifecycle.CancelReservations({{NewId(), "why"}}).status();
       }},
      {"ExtendReservations",
       [](Ledgers& l) {
         return l.lifecycle.ExtendReservations({{NewId(), 1, absl::Seconds(1)}}).status();
       }},
      {"ConfirmLate", [](Ledgers& l) { return l.lifecycle.ConfirmLate(kPayment).status(); }},
      {"CommitCart", [](Ledgers& l) { return l.lifecycle.CommitCart(1, {Claim("tv", "a")}).status(); }},
      {"RefuseClaims",
       [](Ledgers& l) {
         return l.lifecycle.RefuseClaims({ClaimRefusal{Claim("tv", "a"), Refusal::kSoldOut}}).status();
       }},
      {"CreateSku", [](Ledgers& l) { return l.stock.CreateSku(Sku{}, "test").status(); }},
      {"CloseSku", [](Ledgers& l) { return l.stock.CloseSku("tv", "test").status(); }},
      {"AddStock", [](Ledgers& l) { return l.stock.AddStock("tv", 1, std::nullopt, "test").status(); }},
      {"ReduceStock", [](Ledgers& l) { return l.stock.ReduceStock("tv", 1, std::nullopt, "test").status(); }},
      {"SetQuotaFrozen", [](Ledgers& l) { return l.stock.SetQuotaFrozen("tv", true, "test").status(); }},
      {"MoveUnitsBatch",
       [](Ledgers& l) {
         return l.stock.MoveUnitsBatch({QuotaMove{"tv", {{1, 1}}, {}}}, "test").status();
       }},
      {"RegisterIncarnation", [](Ledgers& l) { return l.stock.RegisterIncarnation("n", "h:1").status(); }},
      {"SetDraining", [](Ledgers& l) { return l.stock.SetDraining(1, true, "test").status(); }},
  };
}

std::vector<NamedCall> OtherChanges() {
  return {
      {"RaiseVersion", [](Ledgers& l) { return l.stock.RaiseVersion("tv", 1, "test").status(); }},
      {"Mark", [](Ledgers& l) { return l.stock.Mark({}).status(); }},
      {"MarkAfter", [](Ledgers& l) { return l.stock.Mark(LedgerMark{.line = "l", .count = 1}).status(); }},
      {"ReopenSku", [](Ledgers& l) { return l.stock.ReopenSku("tv", "test").status(); }},
      {"SetSkuPaused", [](Ledgers& l) { return l.stock.SetSkuPaused("tv", true, "", std::nullopt, "test").status(); }},
      {"UpdateSku", [](Ledgers& l) { return l.stock.UpdateSku(Sku{}, "test").status(); }},
      {"EndAudit", [](Ledgers& l) { return l.stock.EndAudit(1, "{}").status(); }},
      {"BeginHistory", [](Ledgers& l) { return l.stock.BeginHistory(1, "test").status(); }},
      {"ClaimMessages",
       [](Ledgers& l) { return l.outbox.ClaimMessages("default", 1, absl::Seconds(1), true).status(); }},
      {"RemoveSink", [](Ledgers& l) { return l.outbox.RemoveSink("default", "test"); }},
      {"RetryDead", [](Ledgers& l) { return l.outbox.RetryDead("default", "test").status(); }},
      {"RetryMessage", [](Ledgers& l) { return l.outbox.RetryMessage(kKey, "test").status(); }},
      {"DiscardMessage", [](Ledgers& l) { return l.outbox.DiscardMessage(kKey, "test").status(); }},
      {"ApplyPayment", [](Ledgers& l) { return l.payments.ApplyPayment(kPayment, "test").status(); }},
      {"MarkRefunded",
       [](Ledgers& l) {
         return l.payments.MarkRefunded({{{NewId(), "p"}}}, "test").status();
       }},
      {"AddShard", [](Ledgers& l) { return l.shards.AddShard("east", "host=h", "test").status(); }},
      {"ReserveSku", [](Ledgers& l) { return l.shards.ReserveSku("tv", "east"); }},
      {"Adopt", [](Ledgers& l) { return l.shards.Adopt("east", NewId().ToString(), {}, "test").status(); }},
      {"RegisterIncarnationAs", [](Ledgers& l) { return l.shards.RegisterIncarnationAs(Incarnation{}).status(); }},
      {"PrepareLeave", [](Ledgers& l) { return l.moves.PrepareLeave("tv", NewId().ToString()).status(); }},
      {"CancelLeave", [](Ledgers& l) { return l.moves.CancelLeave("tv", NewId().ToString(), "test").status(); }},
      {"GiveUpOlderCopy", [](Ledgers& l) { return l.moves.GiveUpOlderCopy("tv", "b", 1, "test").status(); }},
      {"CancelArrival", [](Ledgers& l) { return l.moves.CancelArrival("tv").status(); }},
      {"Purge", [](Ledgers& l) { return l.moves.Purge("tv", 1).status(); }},
      {"ExpireDue", [](Ledgers& l) { return l.upkeep.ExpireDue(1).status(); }},
      {"RemindHolds", [](Ledgers& l) { return l.upkeep.RemindHolds(absl::Hours(1), 1).status(); }},
      {"RetireReservations",
       [](Ledgers& l) { return l.upkeep.RetireReservations(absl::Hours(1), 1, Retired::kDrop).status(); }},
  };
}

std::vector<NamedCall> Reads() {
  return {
      {"FindReservation", [](Ledgers& l) { return l.sales.FindReservation(NewId()).status(); }},
      {"GetSku", [](Ledgers& l) { return l.stock.GetSku("tv").status(); }},
      {"ListSkus", [](Ledgers& l) { return l.stock.ListSkus("", 1).status(); }},
      {"ReadQuotas", [](Ledgers& l) { return l.stock.ReadQuotas({"tv"}).status(); }},
      {"ListSlices", [](Ledgers& l) { return l.stock.ListSlices(1).status(); }},
      {"ListLiveIncarnations", [](Ledgers& l) { return l.stock.ListLiveIncarnations().status(); }},
      {"ListAudit", [](Ledgers& l) { return l.stock.ListAudit({}, 0, 1).status(); }},
      {"ReadClusterSettings", [](Ledgers& l) { return l.stock.ReadClusterSettings().status(); }},
      {"Verify", [](Ledgers& l) { return l.stock.Verify("").status(); }},
      {"ReadReservations", [](Ledgers& l) { return l.lifecycle.ReadReservations({NewId()}).status(); }},
      {"ListReservations", [](Ledgers& l) { return l.lifecycle.ListReservations({}, {}, 1).status(); }},
      {"ListMessages",
       [](Ledgers& l) { return l.outbox.ListMessages("default", OutboxState::kDead, kKey, 1).status(); }},
      {"GetMessage", [](Ledgers& l) { return l.outbox.GetMessage(kKey).status(); }},
      {"Depths", [](Ledgers& l) { return l.outbox.Depths().status(); }},
      {"ExportPayments",
       [](Ledgers& l) {
         return l.payments.ExportPayments(std::nullopt, absl::UnixEpoch(), absl::UnixEpoch(), 1).status();
       }},
      {"LookUpPayments", [](Ledgers& l) { return l.payments.LookUpPayments({NewId()}).status(); }},
      {"Schema", [](Ledgers& l) { return l.shards.Schema().status(); }},
      {"Identity", [](Ledgers& l) { return l.shards.Identity().status(); }},
      {"ListShards", [](Ledgers& l) { return l.shards.ListShards().status(); }},
      {"Where", [](Ledgers& l) { return l.moves.Where("tv").status(); }},
      {"ListWhereabouts", [](Ledgers& l) { return l.moves.ListWhereabouts("", 1).status(); }},
      {"ExportPage", [](Ledgers& l) { return l.moves.ExportPage("tv", SkuPart::kLive, "", {}, 1).status(); }},
      {"ExportSku", [](Ledgers& l) { return l.moves.ExportSku("tv", NewId().ToString()).status(); }},
  };
}

class AnotherVersionTest : public ::testing::Test {
 protected:
  // What each call makes of such answers.
  void Ask(const std::string& answers, const std::vector<NamedCall>& calls,
           const std::function<bool(const absl::Status&)>& expected) {
    AnswerEverythingWith(database_.owner_dsn(), answers);
    ConnectionPool pool(PoolOptions{.dsn = database_.owner_dsn()});
    Ledgers ledgers(&pool);
    for (const auto& [name, call] : calls) {
      const absl::Status status = call(ledgers);
      EXPECT_TRUE(expected(status)) << name << ": " << status;
    }
  }

  const testing::TestDatabase database_;
};

// All nodes would end at once, in mid-sale. A change may have been made, so it is unknown what came of it; a read has
// failed.
TEST_F(AnotherVersionTest, AnAnswerOfAnotherKindFailsItsCall) {
  Ask("SELECT 'another'", SalesChanges(), IsUnknownCommit);
  Ask("SELECT 'another'", OtherChanges(), IsUnknownCommit);
  Ask("SELECT 'another'", Reads(), absl::IsInternal);
}

// Kinds before, between and behind those that this version knows, each more than a page.
constexpr char kDoorOfTheFuture[] = R"(
  ALTER TABLE tranche.access_entry DROP CONSTRAINT access_entry_kind_check;
  ALTER TABLE tranche.front_key DROP CONSTRAINT front_key_use_check;
  INSERT INTO tranche.front_key (key_id, use, secret, since) VALUES (9, 'FALLBACK', decode(repeat('ab', 32), 'hex'), now());
  INSERT INTO tranche.access_entry (kind, value, allow, reason, version, changed_at, changed_by)
  SELECT k, 'v' || i, false, '', 1, now(), 'x'
  FROM unnest(ARRAY['ASN', 'BUYER', 'COUNTRY', 'NETWORK', 'SESSION']) AS k, generate_series(1, 1500) AS i)";

// Otherwise no node of this version would start.
TEST_F(AnotherVersionTest, WhatOnlyANewerVersionKnowsOfTheFrontDoorIsLeftOut) {
  ASSERT_TRUE(ExecuteSql(database_.owner_dsn(), kDoorOfTheFuture).ok());
  ConnectionPool pool(PoolOptions{.dsn = database_.node_dsn()});
  PostgresFrontLedger ledger(&pool);
  std::set<std::string> users, addresses;
  std::optional<AccessSubject> after;
  do {
    const auto page = ledger.ReadFrontChanges({}, after);
    ASSERT_TRUE(page.ok()) << page.status();
    if (!after.has_value()) {
      EXPECT_EQ(page->keys.size(), 3u);
    }
    for (const AccessEntry& entry : page->entries) {
      const bool user = entry.subject.kind == AccessSubject::Kind::kUser;
      EXPECT_TRUE((user ? users : addresses).insert(entry.subject.value).second) << "told twice";
    }
    after = page->next;
  } while (after.has_value());
  EXPECT_EQ(users.size(), 1500u);
  EXPECT_EQ(addresses.size(), 1500u);
}

constexpr char kModeOfTheFuture[] = R"(
  ALTER TABLE tranche.service_mode DROP CONSTRAINT service_mode_mode_check;
  UPDATE tranche.service_mode SET mode = 'NOTHING_AT_ALL', reason = 'later')";

TEST_F(AnotherVersionTest, AServiceModeThatOnlyANewerVersionKnowsLimitsWhatIsNew) {
  ASSERT_TRUE(ExecuteSql(database_.owner_dsn(), kModeOfTheFuture).ok());
  ConnectionPool pool(PoolOptions{.dsn = database_.node_dsn()});
  PostgresFrontLedger ledger(&pool);
  const auto mode = ledger.ReadServiceMode();
  ASSERT_TRUE(mode.ok()) << mode.status();
  EXPECT_EQ(mode->kind, ServiceMode::Kind::kChangesOnly);
  EXPECT_EQ(mode->reason, "later");
}

// For some calls that is an answer. None ends the process or says that the database is down.
TEST_F(AnotherVersionTest, NullsOrNoRowsEndNoProcess) {
  for (const std::string answers : {"SELECT NULL::text", "SELECT NULL::text WHERE false"}) {
    for (const auto& calls : {SalesChanges(), OtherChanges(), Reads()}) {
      Ask(answers, calls,
          [](const absl::Status& status) { return !absl::IsUnavailable(status) || IsUnknownCommit(status); });
    }
  }
}

}  // namespace
}  // namespace tranche::storage
