// PostgreSQL killed and restarted under the ledger: errors get the right codes, and nothing acknowledged is lost.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <memory>
#include <pqxx/pqxx>
#include <sstream>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "storage/ledger/ledger_error.h"
#include "storage/pipeline/change_pipeline.h"
#include "storage/pipeline/commit_pipeline.h"
#include "storage/postgres/call.h"
#include "storage/postgres/connection_pool.h"
#include "storage/postgres/migrator.h"
#include "storage/postgres/postgres_ledger.h"
#include "storage/postgres/postgres_lifecycle_ledger.h"
#include "storage/postgres/postgres_outbox_ledger.h"
#include "tests/support/claims.h"
#include "tests/support/mini_postgres.h"

namespace tranche::storage {
namespace {

using testing::Claim;

class PostgresOutageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(postgres_.Start().ok());
    const auto migrated = Migrate(postgres_.dsn());
    ASSERT_TRUE(migrated.ok()) << migrated.status();
    PoolOptions options;
    options.dsn = postgres_.node_dsn();
    pool_ = std::make_unique<ConnectionPool>(options);
    ledger_ = std::make_unique<PostgresLedger>(pool_.get());
    stock_ = std::make_unique<PostgresStockLedger>(pool_.get());
    Sku sku;
    sku.sku_id = "tv";
    sku.title = "A television";
    sku.currency = "EUR";
    sku.stock = kStock;
    ASSERT_TRUE(stock_->CreateSku(sku, "test").ok());
    node_ = *stock_->RegisterIncarnation("node", "host:1");
    ASSERT_TRUE(stock_->MoveUnits("tv", {{node_, kStock}}, std::nullopt, "test").ok());
  }

  // Tries until the ledger answers again.
  Sku ReadWhenBack() {
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    while (true) {
      const auto sku = stock_->GetSku("tv");
      if (sku.ok()) return *sku;
      EXPECT_EQ(sku.status().code(), absl::StatusCode::kUnavailable) << sku.status();
      if (absl::Now() > deadline) {
        ADD_FAILURE() << "the ledger does not come back: " << sku.status();
        return {};
      }
      absl::SleepFor(absl::Milliseconds(20));
    }
  }

  // The ledger's first real answer. A backend that continues after it was stopped may hold its locks for longer than a
  // short statement timeout, on a busy machine.
  template <typename Call>
  static auto AnswerOf(const Call& call) {
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    while (true) {
      auto answer = call();
      if (!absl::IsUnavailable(answer.status()) || absl::Now() > deadline) return answer;
      absl::SleepFor(absl::Milliseconds(20));
    }
  }

  static constexpr int64_t kStock = 1'000'000;
  testing::MiniPostgres postgres_;
  std::unique_ptr<ConnectionPool> pool_;
  std::unique_ptr<PostgresLedger> ledger_;
  std::unique_ptr<PostgresStockLedger> stock_;
  IncarnationId node_ = kPool;
};

TEST_F(PostgresOutageTest, StoppedServerIsUnavailableAndComesBack) {
  ASSERT_TRUE(postgres_.Stop().ok());
  // The first call may still find a connection that seems alive.
  (void)stock_->GetSku("tv");
  const auto down = ledger_->CommitReservations(node_, LockMode::kWait, {Claim("tv", "alice")});
  EXPECT_EQ(down.status().code(), absl::StatusCode::kUnavailable) << down.status();
  EXPECT_FALSE(IsUnknownCommit(down.status())) << "no connection: nothing happened";
  EXPECT_EQ(stock_->RegisterIncarnation("n", "h:1").status().code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(postgres_.Start().ok());
  EXPECT_EQ(ReadWhenBack().unsold, kStock);
  const auto up = ledger_->CommitReservations(node_, LockMode::kWait, {Claim("tv", "alice")});
  ASSERT_TRUE(up.ok()) << up.status();
  EXPECT_EQ(up->front().outcome, CommitOutcome::kCreated);
}

TEST_F(PostgresOutageTest, KilledServerLosesNothingAcknowledged) {
  absl::Mutex mutex;
  absl::flat_hash_set<Uuid> acknowledged;
  std::vector<ReservationClaim> unknown;
  std::atomic<bool> stop{false};
  std::vector<std::thread> sellers;
  for (int seller = 0; seller < 3; ++seller) {
    sellers.emplace_back([&, seller] {
      for (int round = 0; !stop; ++round) {
        const auto batch = testing::ClaimsOf("tv", absl::StrCat("u", seller, "-", round, "-"), 20);
        const auto results = ledger_->CommitReservations(node_, LockMode::kWait, batch);
        absl::MutexLock lock(&mutex);
        if (results.ok()) {
          for (const ReservationClaim& claim : batch) acknowledged.insert(claim.reservation_id);
        } else if (IsUnknownCommit(results.status())) {
          unknown.insert(unknown.end(), batch.begin(), batch.end());
        } else {
          EXPECT_EQ(results.status().code(), absl::StatusCode::kUnavailable) << results.status();
        }
      }
    });
  }
  for (int kills = 1; kills <= 3; ++kills) {
    const size_t enough = static_cast<size_t>(kills) * 400;
    const auto progressed = [&] { return acknowledged.size() >= enough; };
    mutex.LockWhenWithTimeout(absl::Condition(&progressed), absl::Seconds(30));
    EXPECT_TRUE(progressed()) << "sales go on between the kills";
    mutex.Unlock();
    EXPECT_TRUE(postgres_.KillAndRestart().ok());
  }
  stop = true;
  for (std::thread& seller : sellers) seller.join();

  ReadWhenBack();
  for (const Uuid& id : acknowledged) ASSERT_TRUE(ledger_->FindReservation(id).ok()) << id.ToString();
  // When they are sent again under the same ids, the unknown ones become known, and nothing is doubled.
  for (const ReservationClaim& claim : unknown) {
    const auto settled = ledger_->CommitReservations(node_, LockMode::kWait, {claim});
    ASSERT_TRUE(settled.ok()) << settled.status();
    EXPECT_TRUE(settled->front().outcome == CommitOutcome::kCreated ||
                settled->front().outcome == CommitOutcome::kReplayed);
  }
  EXPECT_EQ(stock_->GetSku("tv")->unsold, kStock - static_cast<int64_t>(acknowledged.size() + unknown.size()));
  const auto report = stock_->Verify("");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->violations.empty());
}

// A server that hangs without breaking its connections must not block its callers for ever.
TEST_F(PostgresOutageTest, AFrozenBackendIsGivenUp) {
  PoolOptions options;
  options.dsn = postgres_.node_dsn();
  options.application_name = "frozen";
  options.statement_timeout = absl::Seconds(1);
  ConnectionPool pool(options);
  PostgresLedger ledger(&pool);
  ASSERT_TRUE(ledger.CommitReservations(node_, LockMode::kWait, {Claim("tv", "alice")}).ok());
  pqxx::connection connection(postgres_.dsn());
  pqxx::work transaction(connection);
  const pid_t backend =
      transaction.exec1("SELECT pid FROM pg_stat_activity WHERE application_name = 'frozen'")[0].as<pid_t>();
  ASSERT_EQ(kill(backend, SIGSTOP), 0);
  const absl::Time start = absl::Now();
  const auto frozen = ledger.CommitReservations(node_, LockMode::kWait, {Claim("tv", "bob")});
  EXPECT_EQ(kill(backend, SIGCONT), 0);
  EXPECT_TRUE(IsUnknownCommit(frozen.status())) << frozen.status();
  EXPECT_LT(absl::Now() - start, absl::Seconds(15));
  const ReservationClaim carols = Claim("tv", "carol");
  const auto after = AnswerOf([&] { return ledger.CommitReservations(node_, LockMode::kWait, {carols}); });
  EXPECT_TRUE(after.ok()) << after.status();
}

// The end of a process must not be delayed by a statement under way nor by one that comes later.
TEST_F(PostgresOutageTest, APoolThatIsGivenUpHoldsNobodyUp) {
  PoolOptions options;
  options.dsn = postgres_.node_dsn();
  options.application_name = "ending";
  ConnectionPool pool(options);
  PostgresLedger ledger(&pool);
  pqxx::connection connection(postgres_.dsn());
  pqxx::work lock(connection);
  lock.exec("LOCK TABLE tranche.reservation IN EXCLUSIVE MODE");
  absl::StatusOr<std::vector<CommitResult>> under_way;
  std::thread caller([&] { under_way = ledger.CommitReservations(node_, LockMode::kWait, {Claim("tv", "alice")}); });
  pqxx::connection observer(postgres_.dsn());
  pqxx::nontransaction look(observer);
  while (look.exec("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'ending'")
             .empty()) {
    std::this_thread::yield();
  }
  pool.GiveUp();
  caller.join();
  EXPECT_TRUE(IsUnknownCommit(under_way.status())) << under_way.status();
  const auto later = ledger.CommitReservations(node_, LockMode::kWait, {Claim("tv", "bob")});
  EXPECT_TRUE(absl::IsUnavailable(later.status())) << later.status();
  EXPECT_FALSE(IsUnknownCommit(later.status()));
}

// Field: the payment went through, its answer was lost, the shop shows "unpaid". Sent again it is recognised, and there
// is one payment and one message.
TEST_F(PostgresOutageTest, AConfirmationWhoseAnswerIsLostIsSettledByAskingAgain) {
  const ReservationClaim claim = Claim("tv", "alice"), other = Claim("tv", "bob");
  ASSERT_TRUE(ledger_->CommitReservations(node_, LockMode::kWait, {claim, other}).ok());
  PoolOptions options;
  options.dsn = postgres_.node_dsn();
  options.application_name = "frozen";
  options.statement_timeout = absl::Seconds(1);
  ConnectionPool pool(options);
  PostgresLifecycleLedger lifecycle(&pool);
  const Payment payment{claim.reservation_id, "pay-1", 0, "EUR"};
  // Opens the connection.
  ASSERT_TRUE(lifecycle.ConfirmReservations({{other.reservation_id, "pay-2", 0, "EUR"}}).ok());
  pqxx::connection connection(postgres_.dsn());
  pqxx::work transaction(connection);
  const pid_t backend =
      transaction.exec1("SELECT pid FROM pg_stat_activity WHERE application_name = 'frozen'")[0].as<pid_t>();
  ASSERT_EQ(kill(backend, SIGSTOP), 0);
  const auto lost = lifecycle.ConfirmReservations({payment});
  EXPECT_EQ(kill(backend, SIGCONT), 0);
  EXPECT_TRUE(IsUnknownCommit(lost.status())) << lost.status();
  const auto settled = AnswerOf([&] { return lifecycle.ConfirmReservations({payment}); });
  ASSERT_TRUE(settled.ok()) << settled.status();
  EXPECT_TRUE(settled->front().outcome == ChangeOutcome::kDone || settled->front().outcome == ChangeOutcome::kReplayed);
  EXPECT_EQ(settled->front().reservation.state, ReservationState::kConfirmed);
  EXPECT_EQ(settled->front().reservation.revision, 2);
  PostgresOutboxLedger outbox(&pool);
  const auto messages = outbox.ListMessages("", OutboxState::kPending, {}, 10);
  ASSERT_TRUE(messages.ok()) << messages.status();
  EXPECT_EQ(messages->size(), 2u);
}

// Through the pipeline, callers notice nothing: its answers are true, whatever was killed meanwhile.
TEST_F(PostgresOutageTest, ChangesAcknowledgedByThePipelineSurviveAKilledServer) {
  constexpr int kHolds = 3000;
  std::vector<Uuid> holds;
  for (int start = 0; start < kHolds; start += 500) {
    const auto batch = testing::ClaimsOf("tv", absl::StrCat("u", start, "-"), 500);
    ASSERT_TRUE(ledger_->CommitReservations(node_, LockMode::kWait, batch).ok());
    for (const ReservationClaim& claim : batch) holds.push_back(claim.reservation_id);
  }
  PostgresLifecycleLedger lifecycle(pool_.get());
  PipelineOptions options;
  options.max_batch = 32;
  ChangePipeline pipeline(&lifecycle, Clock::Real(), options);
  absl::Mutex mutex;
  absl::flat_hash_set<Uuid> confirmed, cancelled;
  int answered = 0;
  for (int i = 0; i < kHolds; ++i) {
    const Uuid id = holds[static_cast<size_t>(i)];
    absl::flat_hash_set<Uuid>* const acknowledged = i % 2 == 0 ? &confirmed : &cancelled;
    const auto done = [&, id, acknowledged](const absl::StatusOr<ChangeResult>& result) {
      absl::MutexLock lock(&mutex);
      ++answered;
      if (result.ok()) {
        acknowledged->insert(id);
      } else {
        EXPECT_EQ(result.status().code(), absl::StatusCode::kUnavailable) << result.status();
      }
    };
    const absl::Time deadline = absl::Now() + absl::Seconds(60);
    if (i % 2 == 0) {
      pipeline.Submit(storage::Payment{id, "pay-1", 0, "EUR"}, deadline, done);
    } else {
      pipeline.Submit(storage::Cancellation{id, "why"}, deadline, done);
    }
  }
  const auto begun = [&] { return answered > 200; };
  mutex.LockWhenWithTimeout(absl::Condition(&begun), absl::Seconds(30));
  mutex.Unlock();
  EXPECT_TRUE(postgres_.KillAndRestart().ok());
  EXPECT_TRUE(pipeline.Drain(absl::Seconds(60)));
  ReadWhenBack();
  EXPECT_EQ(answered, kHolds);
  EXPECT_GT(confirmed.size(), 0u);
  EXPECT_GT(cancelled.size(), 0u);
  for (const Uuid& id : confirmed) {
    ASSERT_EQ(ledger_->FindReservation(id)->state, ReservationState::kConfirmed);
  }
  for (const Uuid& id : cancelled) {
    ASSERT_EQ(ledger_->FindReservation(id)->state, ReservationState::kCancelled);
  }
  EXPECT_TRUE(stock_->Verify("")->violations.empty());
}

// Field: the answer is lost and then the server is away for a while. "Cannot connect" does not prove that nothing
// happened: a caller who believed that would sell the units, or request the refund, a second time.
TEST_F(PostgresOutageTest, ACallWhoseAnswerIsLostStaysUnknownWhileTheServerIsAway) {
  const ReservationClaim hold = Claim("tv", "alice");
  ASSERT_TRUE(ledger_->CommitReservations(node_, LockMode::kWait, {hold}).ok());
  PoolOptions options;
  options.dsn = postgres_.node_dsn();
  options.statement_timeout = absl::Seconds(1);
  ConnectionPool cart_pool(options), payment_pool(options);
  PostgresLifecycleLedger carts(&cart_pool), payments(&payment_pool);
  // These open the connections.
  ASSERT_TRUE(payments.CancelReservations({{hold.reservation_id, "changed their mind"}}).ok());
  ASSERT_TRUE(carts.ReadReservations({hold.reservation_id}).ok());

  const std::vector<ReservationClaim> cart = {Claim("tv", "bob")};
  const Payment payment{hold.reservation_id, "pay-1", 0, "EUR"};
  ASSERT_TRUE(postgres_.Suspend().ok());
  const auto lost_cart = carts.CommitCart(node_, cart);
  const auto lost_payment = payments.ConfirmLate(payment);
  const auto not_sent = payments.ConfirmLate(payment);
  ASSERT_TRUE(postgres_.Resume().ok());
  EXPECT_TRUE(IsUnknownCommit(lost_cart.status())) << lost_cart.status();
  EXPECT_TRUE(IsUnknownCommit(lost_payment.status())) << lost_payment.status();
  EXPECT_TRUE(absl::IsUnavailable(not_sent.status()) && !IsUnknownCommit(not_sent.status())) << not_sent.status();

  const auto settled_cart = AnswerOf([&] { return carts.CommitCart(node_, cart); });
  ASSERT_TRUE(settled_cart.ok()) << settled_cart.status();
  EXPECT_TRUE(settled_cart->committed);
  const auto settled_payment = AnswerOf([&] { return payments.ConfirmLate(payment); });
  ASSERT_TRUE(settled_payment.ok()) << settled_payment.status();
  EXPECT_EQ(settled_payment->refusal, Refusal::kReservationState);
  EXPECT_EQ(stock_->GetSku("tv")->unsold, kStock - 1);
  PostgresOutboxLedger outbox(pool_.get());
  const auto messages = outbox.ListMessages("", OutboxState::kPending, {}, 10);
  ASSERT_TRUE(messages.ok()) << messages.status();
  EXPECT_EQ(messages->size(), 2u) << "one of the cancellation, and one that asks for the refund";
}

// A server that reports a refusal is alive: its connections stay.
TEST_F(PostgresOutageTest, ASkuThatMovesBreaksNoConnection) {
  PoolOptions options;
  options.dsn = postgres_.node_dsn();
  options.application_name = "moving";
  ConnectionPool pool(options);
  PostgresStockLedger stock(&pool);
  ASSERT_TRUE(stock.GetSku("tv").ok());
  pqxx::connection connection(postgres_.dsn());
  const auto backends = [&connection] {
    pqxx::nontransaction query(connection);
    const auto row = query.exec1(
        "SELECT coalesce(string_agg(pid::text, ' '), '') FROM pg_stat_activity WHERE application_name = 'moving'");
    return row[0].as<std::string>();
  };
  const std::string before = backends();
  ASSERT_TRUE(
      testing::ExecuteSql(postgres_.dsn(), "UPDATE tranche.sku SET whereabouts = 'LEAVING', other_shard = 'east'")
          .ok());
  const absl::Status moving = stock.AddStock("tv", 1, std::nullopt, "test").status();
  EXPECT_TRUE(IsSkuMoving(moving)) << moving;
  EXPECT_TRUE(stock.GetSku("tv").ok());
  EXPECT_EQ(backends(), before);
}

// The process ids of the server's backends for this application.
std::string BackendsOf(const testing::MiniPostgres& postgres, const std::string& application) {
  pqxx::connection connection(postgres.dsn());
  pqxx::nontransaction query(connection);
  return query
      .exec1(absl::StrCat("SELECT coalesce(string_agg(pid::text, ' ' ORDER BY pid), '') FROM pg_stat_activity "
                          "WHERE application_name = '",
                          application, "'"))[0]
      .as<std::string>();
}

// A row is locked for longer than a statement may take. Only the statement that waited has failed: the ledger is up,
// its connections are good, and other SKUs sell.
TEST_F(PostgresOutageTest, AStatementTimeoutFailsOneBatchAndNothingElse) {
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
    pipeline.Submit(node_, claim, absl::Now() + absl::Seconds(20), [&](absl::StatusOr<CommitResult> result) {
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
  EXPECT_TRUE(absl::StrContains(locked.status().message(), "57014")) << locked.status();
  EXPECT_TRUE(pipeline.Stats().ledger_answers);
  const auto sold = commit(Claim("radio", "bob"));
  EXPECT_TRUE(sold.ok()) << sold.status();
  lock.abort();
  EXPECT_TRUE(commit(Claim("tv", "carol")).ok());
  EXPECT_EQ(BackendsOf(postgres_, "timeout"), before) << "no connection was closed";
}

// Waits until a session waits for a synchronous standby, and cancels that wait. False if none does in time.
bool CancelAWaitForTheStandby(const testing::MiniPostgres& postgres) {
  pqxx::connection connection(postgres.dsn());
  pqxx::nontransaction query(connection);
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (absl::Now() < deadline) {
    if (!query
             .exec("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND "
                   "application_name = 'standby'")
             .empty()) {
      return true;
    }
    std::this_thread::yield();
  }
  return false;
}

// When the wait for the synchronous standby is cancelled, the server reports success with a warning. Acknowledged, the
// order would be gone if the standby took over.
TEST_F(PostgresOutageTest, ACommitThatNoStandbyConfirmedIsUnknown) {
  const auto set_standby = [this](const char* names) {
    // Not in one statement: ALTER SYSTEM does not run in a transaction block.
    ASSERT_TRUE(
        testing::ExecuteSql(postgres_.dsn(), absl::StrCat("ALTER SYSTEM SET synchronous_standby_names = '", names, "'"))
            .ok());
    ASSERT_TRUE(testing::ExecuteSql(postgres_.dsn(), "SELECT pg_reload_conf()").ok());
    pqxx::connection connection(postgres_.dsn());
    pqxx::nontransaction query(connection);
    while (query.exec1("SHOW synchronous_standby_names")[0].as<std::string>() != names) std::this_thread::yield();
  };
  // A default that would keep the warning from us.
  ASSERT_TRUE(testing::ExecuteSql(postgres_.dsn(), "ALTER ROLE tranche_node SET client_min_messages = error").ok());
  PoolOptions options;
  options.dsn = postgres_.node_dsn();
  options.application_name = "standby";
  ConnectionPool pool(options);
  PostgresLedger ledger(&pool);
  const ReservationClaim hold = Claim("tv", "bob");
  ASSERT_TRUE(ledger.CommitReservations(node_, LockMode::kWait, {hold}).ok());
  PostgresLifecycleLedger lifecycle(&pool);
  const std::string before = BackendsOf(postgres_, "standby");
  set_standby("nobody");
  absl::Status claimed, confirmed;
  ReservationClaim claim;
  int64_t created = 0;
  // Commits wait once the checkpointer has noticed the setting.
  std::thread buyer([&] {
    for (; claimed.ok(); ++created) {
      claim = Claim("tv", absl::StrCat("alice", created));
      claimed = ledger.CommitReservations(node_, LockMode::kWait, {claim}).status();
    }
  });
  EXPECT_TRUE(CancelAWaitForTheStandby(postgres_));
  buyer.join();
  std::thread payer([&] {
    confirmed = lifecycle.ConfirmReservations({{hold.reservation_id, "pay-1", 0, "EUR"}}).status();
  });
  EXPECT_TRUE(CancelAWaitForTheStandby(postgres_));
  payer.join();
  set_standby("");
  for (const absl::Status& status : {claimed, confirmed}) {
    EXPECT_TRUE(IsUnknownCommit(status)) << status;
    EXPECT_TRUE(LedgerIsUp(status)) << status;
  }
  EXPECT_EQ(BackendsOf(postgres_, "standby"), before) << "the connection is intact";
  // Sent again under the same id, it becomes known, and nothing is doubled.
  const auto settled = ledger.CommitReservations(node_, LockMode::kWait, {claim});
  ASSERT_TRUE(settled.ok()) << settled.status();
  EXPECT_EQ(settled->front().outcome, CommitOutcome::kReplayed);
  EXPECT_EQ(stock_->GetSku("tv")->unsold, kStock - created - 1);
}

// An old node that meets a newer schema's answer must not end: all the others would, too, at once. A change may have
// been made, so it is unknown what came of it; a read has failed.
TEST_F(PostgresOutageTest, AnAnswerOfAnotherVersionEndsNoProcess) {
  const ReservationClaim hold = Claim("tv", "alice");
  ASSERT_TRUE(ledger_->CommitReservations(node_, LockMode::kWait, {hold}).ok());
  ASSERT_TRUE(testing::ExecuteSql(postgres_.dsn(), R"(
    CREATE OR REPLACE FUNCTION tranche.commit_reservations(
      p_incarnation bigint, p_wait boolean, p_ids uuid[], p_skus text[], p_users text[], p_quantities integer[],
      p_references text[] DEFAULT NULL)
    RETURNS SETOF tranche.claim_answer LANGUAGE sql AS 'SELECT (NULL::tranche.claim_answer).* WHERE false';
    CREATE OR REPLACE FUNCTION tranche.cancel_reservations(p_ids uuid[], p_reasons text[])
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
  EXPECT_TRUE(absl::StrContains(found.message(), "REVOKED")) << found;
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
    while (refused() < refused_before + 2) std::this_thread::yield();
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

// A move is not repeated when its answer is lost: it is unknown whether it was made.
TEST_F(PostgresOutageTest, AMoveWhoseAnswerIsLostIsUnknown) {
  PoolOptions options;
  options.dsn = postgres_.node_dsn();
  options.application_name = "frozen";
  options.statement_timeout = absl::Seconds(1);
  ConnectionPool pool(options);
  PostgresStockLedger stock(&pool);
  const int64_t version = stock.GetSku("tv")->quota_version;
  pqxx::connection connection(postgres_.dsn());
  pqxx::work transaction(connection);
  const pid_t backend =
      transaction.exec1("SELECT pid FROM pg_stat_activity WHERE application_name = 'frozen'")[0].as<pid_t>();
  ASSERT_EQ(kill(backend, SIGSTOP), 0);
  const auto lost = stock.MoveUnitsBatch({QuotaMove{"tv", {{node_, -1}}, std::nullopt}}, "test");
  EXPECT_EQ(kill(backend, SIGCONT), 0);
  EXPECT_TRUE(IsUnknownCommit(lost.status())) << lost.status();
  int tries = 0;
  const auto known = AnswerOf([&] {
    ++tries;
    return stock.MoveUnitsBatch({QuotaMove{"tv", {{node_, -1}}, std::nullopt}}, "test");
  });
  ASSERT_TRUE(known.ok()) << known.status();
  // The lost one may have been made; the last one was made for certain.
  EXPECT_GE((*known)[0]->quota.quota_version, version + 1);
  EXPECT_LE((*known)[0]->quota.quota_version, version + 1 + tries);
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

// The mark goes on through restarts and crashes, and breaks off where commits may be lost.
TEST_F(PostgresOutageTest, AMarkTellsARestartFromARestoreAndAPromotion) {
  const auto mark = [this] {
    absl::StatusOr<LedgerMark> now = stock_->Mark();
    for (int tries = 0; !now.ok() && tries < 100; ++tries) now = stock_->Mark();
    EXPECT_TRUE(now.ok()) << now.status();
    return now.value_or(LedgerMark());
  };
  const LedgerMark first = mark();
  ASSERT_TRUE(postgres_.Stop().ok());
  ASSERT_TRUE(postgres_.SaveData().ok());
  ASSERT_TRUE(postgres_.Start().ok());
  const LedgerMark restarted = mark();
  EXPECT_TRUE(GoesOn(first, restarted)) << restarted.line << " " << restarted.count;
  ASSERT_TRUE(postgres_.KillAndRestart().ok());
  const LedgerMark recovered = mark();
  EXPECT_TRUE(GoesOn(restarted, recovered)) << recovered.line << " " << recovered.count;

  ASSERT_TRUE(postgres_.Stop().ok());
  ASSERT_TRUE(postgres_.RestoreData().ok());
  ASSERT_TRUE(postgres_.Start().ok());
  const LedgerMark restored = mark();
  EXPECT_FALSE(GoesOn(recovered, restored));
  EXPECT_EQ(restored.line, recovered.line) << "only the count shows it";

  ASSERT_TRUE(postgres_.RestartPromoted().ok());
  const LedgerMark promoted = mark();
  EXPECT_FALSE(GoesOn(restored, promoted));
  EXPECT_NE(promoted.line, restored.line);
  EXPECT_TRUE(GoesOn(promoted, mark()));
}

// An owner of the schema who is not a superuser.
TEST_F(PostgresOutageTest, AMarkNeedsNoSuperuser) {
  ASSERT_TRUE(testing::ExecuteSql(postgres_.dsn(), "CREATE ROLE plain LOGIN").ok());
  ASSERT_TRUE(testing::ExecuteSql(postgres_.dsn(), "CREATE DATABASE plain OWNER plain").ok());
  const auto migrated = Migrate(postgres_.Dsn("plain", "plain"));
  ASSERT_TRUE(migrated.ok()) << migrated.status();
  ConnectionPool pool({.dsn = postgres_.Dsn("plain", testing::MiniPostgres::kNodeRole)});
  PostgresStockLedger ledger(&pool);
  const auto mark = ledger.Mark();
  ASSERT_TRUE(mark.ok()) << mark.status();
  EXPECT_NE(mark->line, stock_->Mark()->line) << "another database of the same server";
  EXPECT_TRUE(ledger.BeginHistory(5, "test").ok());
}

}  // namespace
}  // namespace tranche::storage
