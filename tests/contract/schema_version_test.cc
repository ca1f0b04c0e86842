// Procedures of another version answer what this one does not expect.
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "storage/ledger/ledger_error.h"
#include "storage/postgres/connection_pool.h"
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
using testing::NewId;

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
      {"ClaimMessages",
       [](Ledgers& l) { return l.outbox.ClaimMessages("default", 1, absl::Seconds(1)).status(); }},
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
      {"CancelArrival", [](Ledgers& l) { return l.moves.CancelArrival("tv").status(); }},
      {"Purge", [](Ledgers& l) { return l.moves.Purge("tv", 1).status(); }},
      {"ExpireDue", [](Ledgers& l) { return l.upkeep.ExpireDue(1).status(); }},
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
      {"ListAudit", [](Ledgers& l) { return l.stock.ListAudit("", 0, 1).status(); }},
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
      {"Identity", [](Ledgers& l) { return l.shards.Identity().status(); }},
      {"ListShards", [](Ledgers& l) { return l.shards.ListShards().status(); }},
      {"Where", [](Ledgers& l) { return l.moves.Where("tv").status(); }},
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
