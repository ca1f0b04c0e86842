// PostgreSQL killed and restarted under the ledger: errors get the right codes, and nothing acknowledged is lost.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <pqxx/pqxx>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "storage/ledger/ledger_error.h"
#include "storage/pipeline/change_pipeline.h"
#include "storage/postgres/connection_pool.h"
#include "storage/postgres/migrator.h"
#include "storage/postgres/postgres_ledger.h"
#include "storage/postgres/postgres_lifecycle_ledger.h"
#include "storage/postgres/postgres_outbox_ledger.h"
#include "tests/contract/postgres_outage_fixture.h"
#include "tests/support/between_looks.h"
#include "tests/support/claims.h"

namespace tranche::storage {
namespace {

using testing::Claim;

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

TEST_F(PostgresOutageTest, APoolSaysWhatItUsesAndWhetherItsServerServes) {
  ConnectionPool pool({.dsn = postgres_.dsn(), .max_connections = 3});
  const auto use = [&] { return std::vector<int>{pool.use().open, pool.use().in_use, pool.use().limit}; };
  EXPECT_EQ(use(), (std::vector<int>{0, 0, 3}));
  EXPECT_FALSE(pool.reached()) << "nobody has tried";
  PostgresStockLedger ledger(&pool);
  ASSERT_TRUE(ledger.GetSku("tv").ok());
  EXPECT_EQ(use(), (std::vector<int>{1, 0, 3}));
  EXPECT_TRUE(pool.reached());
  {
    auto first = pool.Acquire(), second = pool.Acquire();
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_EQ(use(), (std::vector<int>{2, 2, 3}));
  }
  EXPECT_EQ(use(), (std::vector<int>{2, 0, 3}));
  EXPECT_EQ(ledger.GetSku("no such").status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(pool.reached()) << "it has answered";
  ASSERT_TRUE(postgres_.Stop().ok());
  EXPECT_FALSE(ledger.GetSku("tv").ok());
  EXPECT_FALSE(ledger.GetSku("tv").ok());
  EXPECT_FALSE(pool.reached());
  EXPECT_EQ(use(), (std::vector<int>{0, 0, 3}));
  ASSERT_TRUE(postgres_.Start().ok());
  ReadWhenBack();
  EXPECT_TRUE(ledger.GetSku("tv").ok());
  EXPECT_TRUE(pool.reached());
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
    testing::RestBetweenLooks();
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
  absl::StatusOr<CartResult> lost_cart;
  std::thread buyer([&] { lost_cart = carts.CommitCart(node_, cart); });
  const auto lost_payment = payments.ConfirmLate(payment);
  const auto not_sent = payments.ConfirmLate(payment);
  buyer.join();
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

// The mark goes on through restarts and crashes, and breaks off where commits may be lost.
TEST_F(PostgresOutageTest, AMarkTellsARestartFromARestoreAndAPromotion) {
  const auto mark = [this] {
    absl::StatusOr<LedgerMark> now = stock_->Mark(std::nullopt);
    for (int tries = 0; !now.ok() && tries < 100; ++tries) now = stock_->Mark(std::nullopt);
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
  const auto mark = ledger.Mark(std::nullopt);
  ASSERT_TRUE(mark.ok()) << mark.status();
  EXPECT_NE(mark->line, stock_->Mark(std::nullopt)->line) << "another database of the same server";
  EXPECT_TRUE(ledger.BeginHistory(5, "test").ok());
}

}  // namespace
}  // namespace tranche::storage
