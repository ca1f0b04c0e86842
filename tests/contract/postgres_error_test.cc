// What single errors of PostgreSQL mean while the server is up: who is told what, what is tried again, and which
// connections are kept. postgres_outage_test.cc has a server that goes away.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <pqxx/pqxx>
#include <sstream>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "storage/ledger/ledger_error.h"
#include "storage/pipeline/commit_pipeline.h"
#include "storage/postgres/call.h"
#include "storage/postgres/connection_pool.h"
#include "storage/postgres/postgres_ledger.h"
#include "storage/postgres/postgres_lifecycle_ledger.h"
#include "tests/contract/postgres_outage_fixture.h"
#include "tests/support/between_looks.h"
#include "tests/support/claims.h"
#include "tests/support/mini_postgres.h"

namespace tranche::storage {
namespace {

using testing::Claim;

// A server that reports a refusal is alive: its connections stay.
TEST_F(PostgresOutageTest, ASkuThatMovesBreaksNoConnection) {
  PoolOptions options;
  options.dsn = postgres_.node_dsn();
  options.application_name = "moving";
  ConnectionPool pool(options);
  PostgresStockLedger stock(&pool);
  ASSERT_TRUE(stock.GetSku("tv").ok());
  const std::string before = BackendsOf(postgres_, "moving");
  ASSERT_TRUE(
      testing::ExecuteSql(postgres_.dsn(), "UPDATE tranche.sku SET whereabouts = 'LEAVING', other_shard = 'east'")
          .ok());
  const absl::Status moving = stock.AddStock("tv", 1, std::nullopt, "test").status();
  EXPECT_TRUE(IsSkuMoving(moving)) << moving;
  EXPECT_TRUE(stock.GetSku("tv").ok());
  EXPECT_EQ(BackendsOf(postgres_, "moving"), before);
}

// A row is locked for longer than a statement may take. Only the statement that waited has failed: the ledger is up,
// its connections are good, and other SKUs sell.
TEST_F(PostgresOutageTest, AStatementTimeoutStopsOneSkuAndNothingElse) {
  Sku other;
  other.sku_id = "radio";
  other.currency = "EUR";
  other.stock = 10;
  ASSERT_TRUE(stock_->CreateSku(other, "test").ok());
  ASSERT_TRUE(stock_->MoveUnits("radio", {{node_, 10}}, std::nullopt, "test").ok());
  PoolOptions options;
  options.dsn = postgres_.node_dsn();
  options.application_name = "timeout";
  options.statement_timeout = absl::Seconds(2);
  ConnectionPool pool(options);
  PostgresLedger ledger(&pool);
  {
    const auto first = pool.Acquire(), second = pool.Acquire();
    ASSERT_TRUE(first.ok() && second.ok()) << "one will be lent, one idle";
  }
  const std::string before = BackendsOf(postgres_, "timeout");
  CommitPipeline pipeline(&ledger, Clock::Real(), {});
  const auto commit = [&](const ReservationClaim& claim) {
    absl::Notification answered;
    absl::StatusOr<CommitResult> answer;
    pipeline.Submit(node_, claim, absl::Now() + absl::Seconds(6), [&](absl::StatusOr<CommitResult> result) {
      answer = std::move(result);
      answered.Notify();
    });
    answered.WaitForNotification();
    return answer;
  };
  pqxx::connection connection(postgres_.dsn());
  pqxx::work lock(connection);
  lock.exec("SELECT FROM tranche.stock_slot WHERE sku_id = 'tv' FOR UPDATE");
  const auto locked = commit(Claim("tv", "alice"));
  EXPECT_TRUE(absl::IsUnavailable(locked.status())) << locked.status();
  EXPECT_TRUE(LedgerIsUp(locked.status()) && !IsUnknownCommit(locked.status())) << locked.status();
  EXPECT_TRUE(pipeline.Stats().ledger_answers);
  const auto sold = commit(Claim("radio", "bob"));
  EXPECT_TRUE(sold.ok()) << sold.status();
  lock.abort();
  EXPECT_TRUE(commit(Claim("tv", "carol")).ok());
  EXPECT_EQ(BackendsOf(postgres_, "timeout"), before) << "no connection was closed";
}

// An old node that meets a newer schema's answer must not end: all the others would, too, at once. A change may have
// been made, so it is unknown what came of it; a read has failed.
TEST_F(PostgresOutageTest, AnAnswerOfAnotherVersionEndsNoProcess) {
  const ReservationClaim hold = Claim("tv", "alice");
  ASSERT_TRUE(ledger_->CommitReservations(node_, LockMode::kWait, {hold}).ok());
  ASSERT_TRUE(testing::ExecuteSql(postgres_.dsn(), R"(
    CREATE OR REPLACE FUNCTION tranche.commit_reservations(
      p_incarnation bigint, p_wait boolean, p_ids uuid[], p_skus text[], p_users text[], p_quantities integer[],
      p_references text[] DEFAULT NULL, p_groups uuid[] DEFAULT NULL)
    RETURNS SETOF tranche.claim_answer LANGUAGE sql AS 'SELECT (NULL::tranche.claim_answer).* WHERE false';
    CREATE OR REPLACE FUNCTION tranche.cancel_reservations(
      p_ids uuid[], p_reasons text[], p_wait boolean DEFAULT true, p_traces text[] DEFAULT NULL)
    RETURNS SETOF tranche.change_answer LANGUAGE sql AS 'SELECT (NULL::tranche.change_answer).* WHERE false';
    DROP FUNCTION tranche.find_reservations(uuid[]);
    CREATE FUNCTION tranche.find_reservations(p_ids uuid[])
    RETURNS TABLE (state text) LANGUAGE sql AS $$ SELECT 'REVOKED' $$)")
                  .ok());
  PoolOptions options;
  options.dsn = postgres_.node_dsn();
  ConnectionPool pool(options);
  PostgresLedger ledger(&pool);
  PostgresLifecycleLedger lifecycle(&pool);
  const absl::Status claimed = ledger.CommitReservations(node_, LockMode::kWait, {Claim("tv", "bob")}).status();
  const absl::Status cancelled = lifecycle.CancelReservations({{hold.reservation_id, "why"}}).status();
  for (const absl::Status& status : {claimed, cancelled}) {
    EXPECT_TRUE(IsUnknownCommit(status) && !LedgerIsUp(status)) << status;
  }
  const absl::Status found = ledger.FindReservation(hold.reservation_id).status();
  EXPECT_TRUE(absl::IsInternal(found)) << found;
  EXPECT_TRUE(absl::StrContains(found.message(), "cannot be read")) << found;
  EXPECT_TRUE(absl::IsInternal(lifecycle.ReadReservations({hold.reservation_id}).status()));
}

TEST_F(PostgresOutageTest, ARoleWithoutTheGrantIsToldWhatItLacks) {
  ASSERT_TRUE(testing::ExecuteSql(postgres_.dsn(), "CREATE ROLE stranger LOGIN").ok());
  PoolOptions options;
  options.dsn = postgres_.Dsn("tranche", "stranger");
  ConnectionPool pool(options);
  const absl::Status read = PostgresStockLedger(&pool).ListLiveIncarnations().status();
  EXPECT_TRUE(absl::IsPermissionDenied(read)) << read;
  EXPECT_TRUE(absl::StrContains(read.message(), "GRANT tranche_app TO")) << read;
  const absl::Status change =
      PostgresLedger(&pool).CommitReservations(node_, LockMode::kWait, {Claim("tv", "alice")}).status();
  EXPECT_TRUE(absl::IsPermissionDenied(change)) << "nothing happened: " << change;
}

// The server gives a role one connection: two callers share it instead of one of them failing.
TEST_F(PostgresOutageTest, WhereTheServerGivesNoMoreConnectionsCallersShareThoseThatThereAre) {
  ASSERT_TRUE(
      testing::ExecuteSql(postgres_.dsn(), "CREATE ROLE few LOGIN IN ROLE tranche_app CONNECTION LIMIT 1").ok());
  PoolOptions options;
  options.dsn = postgres_.Dsn("tranche", "few");
  options.acquire_timeout = absl::Seconds(20);
  ConnectionPool pool(options), other_pool(options);
  const auto refused = [this] {
    std::ostringstream log;
    log << std::ifstream(postgres_.log_file()).rdbuf();
    return std::vector<std::string>(absl::StrSplit(log.str(), "too many connections for role")).size() - 1;
  };
  absl::Status second;
  std::thread waiting;
  {
    const auto first = pool.Acquire();
    ASSERT_TRUE(first.ok()) << first.status();
    const absl::Status none = other_pool.Acquire().status();
    EXPECT_TRUE(absl::IsUnavailable(none)) << none;
    EXPECT_TRUE(absl::StrContains(none.message(), "SQLSTATE 53300")) << none;
    const size_t refused_before = refused();
    waiting = std::thread([&] { second = pool.Acquire().status(); });
    // An attempt to connect is made twice: see ServerConnectionPolicy.
    while (refused() < refused_before + 2) testing::RestBetweenLooks();
  }
  waiting.join();
  EXPECT_TRUE(second.ok()) << second;
}

// Gives the answers in turn; the last one again and again.
class ScriptedCall {
 public:
  explicit ScriptedCall(std::vector<absl::Status> answers) : answers_(std::move(answers)) {}
  absl::StatusOr<int> operator()() const {
    const absl::Status& answer = answers_[std::min(calls++, answers_.size() - 1)];
    if (!answer.ok()) return answer;
    return 1;
  }
  mutable size_t calls = 0;

 private:
  const std::vector<absl::Status> answers_;
};

TEST(RepeatCall, AChangeWhoseAnswerWasLostIsInDoubtUntilATrySucceeds) {
  const absl::Status lost = UnknownCommitError("lost"), away = absl::UnavailableError("cannot connect");
  const absl::Status refused = absl::FailedPreconditionError("no"), deadlock = RetryTransactionError("deadlock");
  const auto status = [](Repeat repeat, std::vector<absl::Status> answers) {
    return RepeatCall(repeat, ScriptedCall(std::move(answers))).status();
  };
  EXPECT_TRUE(status(Repeat::kIfAnswerLost, {lost, absl::OkStatus()}).ok());
  for (const absl::Status& then : {away, refused, deadlock, lost}) {
    EXPECT_TRUE(IsUnknownCommit(status(Repeat::kIfAnswerLost, {lost, then}))) << then;
    EXPECT_EQ(IsUnknownCommit(status(Repeat::kIfAnswerLost, {then})), IsUnknownCommit(then)) << then;
  }
  EXPECT_EQ(status(Repeat::kRead, {lost, away}), away) << "a read changes nothing";
  EXPECT_TRUE(status(Repeat::kRead, {lost, absl::OkStatus()}).ok());
  ScriptedCall once({lost});
  EXPECT_TRUE(IsUnknownCommit(RepeatCall(Repeat::kNever, once).status()));
  EXPECT_EQ(once.calls, 1u);
}

// The victim of a deadlock was rolled back, and is run again without the caller noticing.
TEST_F(PostgresOutageTest, ADeadlockIsRunAgain) {
  std::vector<QuotaMove> moves;
  for (const char* sku_id : {"a", "b", "c"}) {
    Sku sku;
    sku.sku_id = sku_id;
    sku.currency = "EUR";
    sku.stock = 10;
    ASSERT_TRUE(stock_->CreateSku(sku, "test").ok());
    moves.push_back({sku_id, {{node_, 1}}, std::nullopt});
  }
  const auto lock = [](pqxx::work& transaction, const char* sku_id) {
    transaction.exec(absl::StrCat("SELECT FROM tranche.sku WHERE sku_id = '", sku_id, "' FOR UPDATE"));
  };
  pqxx::connection gate_connection(postgres_.dsn()), rival_connection(postgres_.dsn()), observer(postgres_.dsn());
  const auto await_waiting = [&observer](int sessions) {
    for (int i = 0; i < 2000; ++i) {
      pqxx::nontransaction query(observer);
      const auto row =
          query.exec1("SELECT count(*) FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0");
      if (row[0].as<int>() == sessions) return true;
      absl::SleepFor(absl::Milliseconds(5));
    }
    return false;
  };
  // The batch holds a and waits at the gate, b; its rival holds c and wants a. Opening the gate closes the cycle, and
  // the batch, whose wait begins last, is the one to find it.
  pqxx::work gate(gate_connection), rival(rival_connection);
  rival.exec("SET LOCAL deadlock_timeout = '60s'");
  lock(gate, "b");
  lock(rival, "c");
  absl::StatusOr<std::vector<absl::StatusOr<SkuQuota>>> moved;
  std::thread batch([&] { moved = stock_->MoveUnitsBatch(moves, "test"); });
  EXPECT_TRUE(await_waiting(1));
  std::thread wait([&] {
    lock(rival, "a");
    rival.abort();
  });
  EXPECT_TRUE(await_waiting(2));
  gate.abort();
  wait.join();
  batch.join();
  ASSERT_TRUE(moved.ok()) << moved.status();
  for (const auto& result : *moved) {
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->quota.quota_version, 2) << "made once";
  }
}

}  // namespace
}  // namespace tranche::storage
