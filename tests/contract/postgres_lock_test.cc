// Another transaction has locked something for long, or the server lacks something: it stops only who needs that.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <iostream>
#include <memory>
#include <pqxx/pqxx>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "storage/ledger/ledger_error.h"
#include "storage/postgres/postgres_shard_backend.h"
#include "storage/postgres/postgres_upkeep_ledger.h"
#include "tests/contract/postgres_outage_fixture.h"
#include "tests/support/claims.h"

namespace tranche::storage {
namespace {

using testing::Claim;

// How the requests of one kind went.
class Tally {
 public:
  template <typename Result>
  absl::AnyInvocable<void(absl::StatusOr<Result>)> Expect() {
    absl::MutexLock lock(&mutex_);
    ++asked_;
    return [this](const absl::StatusOr<Result>& result) {
      absl::MutexLock answered(&mutex_);
      ++(result.ok() && Done(*result) ? done_ : failed_);
      if (!result.ok()) last_ = result.status();
    };
  }
  int asked() const {
    absl::MutexLock lock(&mutex_);
    return asked_;
  }
  int done() const {
    absl::MutexLock lock(&mutex_);
    return done_;
  }
  absl::Status last() const {
    absl::MutexLock lock(&mutex_);
    return last_;
  }
  bool AwaitAll(absl::Duration patience = absl::Seconds(60)) {
    absl::MutexLock lock(&mutex_);
    const auto all = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return done_ + failed_ == asked_; };
    return mutex_.AwaitWithTimeout(absl::Condition(&all), patience);
  }

 private:
  static bool Done(const CommitResult& result) { return result.outcome == CommitOutcome::kCreated; }
  static bool Done(const ChangeResult& result) { return result.outcome == ChangeOutcome::kDone; }
  static bool Done(const CartResult& result) { return result.committed; }

  mutable absl::Mutex mutex_;
  int asked_ ABSL_GUARDED_BY(mutex_) = 0;
  int done_ ABSL_GUARDED_BY(mutex_) = 0;
  int failed_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status last_ ABSL_GUARDED_BY(mutex_);
};

// A front node's pools and pipelines, and the SKUs "a" and "b". What others need is answered while the lock is held,
// what needs the lock when it is free again: so the machine's speed does not matter.
class PostgresLockTest : public PostgresOutageTest {
 protected:
  static constexpr int kUnits = 2000;
  // Of others, one after the other. If each waited for the lock as long as a batch may, they would take 30 s.
  static constexpr int kRequests = 60;
  static constexpr auto kLimit = absl::Seconds(20);
  static constexpr auto kPatience = absl::Seconds(60);   // of those that outlast the lock
  static constexpr auto kImpatience = absl::Seconds(1);  // of one that does not
  static constexpr auto kBetweenTries = absl::Milliseconds(10);

  void SetUp() override {
    PostgresOutageTest::SetUp();
    for (const char* sku_id : {"a", "b"}) {
      Sku sku;
      sku.sku_id = sku_id;
      sku.currency = "EUR";
      sku.stock = kUnits;
      sku.per_user_limit = 2;
      ASSERT_TRUE(stock_->CreateSku(sku, "test").ok());
      ASSERT_TRUE(stock_->MoveUnits(sku_id, {{node_, kUnits}}, std::nullopt, "test").ok());
    }
    PostgresShardOptions options;
    options.pool.dsn = postgres_.node_dsn();
    shard_ = std::make_unique<PostgresShardBackend>(kHomeShard, options);
    upkeep_ = std::make_unique<PostgresUpkeepLedger>(pool_.get());
    lifecycle_ = std::make_unique<PostgresLifecycleLedger>(pool_.get());
    outbox_ = std::make_unique<PostgresOutboxLedger>(pool_.get());
  }
  void TearDown() override {
    if (shard_ != nullptr) shard_->StopExecutor();
    if (shard_ != nullptr) shard_->StopPipelines();
    const auto report = stock_->Verify("");
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->violations.empty());
  }

  void Buy(const std::string& sku_id, Tally* tally, absl::Duration patience = kPatience) {
    shard_->claims->Submit(node_, Claim(sku_id, absl::StrCat("user", ++users_)), absl::Now() + patience,
                           tally->Expect<CommitResult>());
  }
  void Apply(Change change, Tally* tally, absl::Duration patience = kPatience) {
    shard_->changes->Submit(std::move(change), absl::Now() + patience, tally->Expect<ChangeResult>());
  }
  // A cart with a unit of each of the SKUs, of a new buyer; adds how long its answer took.
  void BuyCart(const std::vector<std::string>& skus, absl::Duration patience, Tally* tally,
               std::vector<absl::Duration>* took = nullptr) {
    const std::string user = absl::StrCat("user", ++users_);
    std::vector<ReservationClaim> lines;
    for (const std::string& sku_id : skus) lines.push_back(Claim(sku_id, user));
    const absl::Time began_at = absl::Now();
    shard_->carts->Submit(node_, std::move(lines), began_at + patience,
                          [this, began_at, took, done = tally->Expect<CartResult>()](auto result) mutable {
                            if (took != nullptr) {
                              absl::MutexLock lock(&mutex_);
                              took->push_back(absl::Now() - began_at);
                            }
                            done(std::move(result));
                          });
  }
  // Has carts tried as a node does, until all of these are answered.
  bool AwaitCarts(Tally* tally) {
    const absl::Time until = absl::Now() + kLimit;
    while (!tally->AwaitAll(kBetweenTries)) {
      if (absl::Now() > until) return false;
      shard_->carts->TrySlow();
    }
    return true;
  }
  // Twenty carts with the locked SKU "b" beside those of "a".
  void BuyCartsBesideLocked(const std::vector<std::string>& locked_skus) {
    Tally locked, refused, sold;
    for (int i = 0; i < 20; ++i) BuyCart({"a"}, kPatience, &sold);
    EXPECT_TRUE(AwaitCarts(&sold)) << "this opens the connections";
    std::vector<absl::Duration> took;
    WhileLocked("SELECT FROM tranche.stock_slot WHERE sku_id = 'b' FOR UPDATE", [&] {
      for (int number = 0; number < kRequests; ++number) {
        if (number < 20) BuyCart(locked_skus, kPatience, &locked);
        BuyCart({"a"}, kPatience, &sold, &took);
        sold.AwaitAll(kBetweenTries);
        if (number % 5 == 0) shard_->carts->TrySlow();
      }
      BuyCart(locked_skus, kImpatience, &refused);
      EXPECT_TRUE(AwaitCarts(&sold)) << sold.done() << " of " << sold.asked();
      EXPECT_TRUE(AwaitCarts(&refused));
      EXPECT_EQ(locked.done(), 0);
    });
    EXPECT_TRUE(AwaitCarts(&locked));
    EXPECT_EQ(sold.done(), sold.asked()) << sold.last();
    EXPECT_EQ(locked.done(), 20) << locked.last();
    EXPECT_FALSE(refused.last().ok() || IsUnknownCommit(refused.last())) << refused.last();
    absl::MutexLock lock(&mutex_);
    std::sort(took.begin(), took.end());
    const absl::Duration p99 = took[took.size() * 99 / 100];
    std::cout << "carts of the other SKU: p50 " << took[took.size() / 2] << ", p99 " << p99 << std::endl;
  }

  // Their time is over, and for so long.
  void MakeDue(const std::string& sku_id, const std::string& since) {
    const absl::Status done = testing::ExecuteSql(
        postgres_.dsn(), absl::StrCat("UPDATE tranche.reservation SET created_at = created_at - interval '2 h', "
                                      "expires_at = now() - interval '",
                                      since, "' WHERE state = 'PENDING' AND sku_id = '", sku_id, "'"));
    ASSERT_TRUE(done.ok()) << done;
  }
  int64_t Pending(const std::string& sku_id) {
    pqxx::connection connection(postgres_.dsn());
    pqxx::nontransaction query(connection);
    return query
        .exec1(absl::StrCat("SELECT count(*) FROM tranche.reservation WHERE state = 'PENDING' AND sku_id = '", sku_id,
                            "'"))[0]
        .as<int64_t>();
  }
  // Expires as a worker does, until none of the SKU is left. False if that never ends. A call that waits for a lock
  // fails.
  bool ExpireAll(const std::string& sku_id) {
    const absl::Time until = absl::Now() + absl::Seconds(60);
    while (Pending(sku_id) > 0) {
      if (absl::Now() > until) return false;
      const auto holds = upkeep_->ExpireDue(50);
      EXPECT_TRUE(holds.ok()) << holds.status();
    }
    return true;
  }

  std::vector<Uuid> Hold(const std::string& sku_id, int count) {
    const auto claims = testing::ClaimsOf(sku_id, absl::StrCat(sku_id, "-holder"), count);
    EXPECT_TRUE(ledger_->CommitReservations(node_, LockMode::kWait, claims).ok());
    std::vector<Uuid> ids;
    for (const ReservationClaim& claim : claims) ids.push_back(claim.reservation_id);
    return ids;
  }
  // Locks what the query returns for as long as `action` takes.
  template <typename Action>
  void WhileLocked(const std::string& query, const Action& action) {
    pqxx::connection connection(postgres_.dsn());
    pqxx::work lock(connection);
    lock.exec(query);
    action();
    lock.abort();
  }
  // Sends requests by their numbers, each when those before are answered, and expects that all succeed.
  template <typename Request>
  static void OneAfterTheOther(const std::vector<Tally*>& tallies, const Request& request) {
    const absl::Time until = absl::Now() + kLimit;
    for (int number = 0; number < kRequests; ++number) {
      request(number);
      for (Tally* tally : tallies) ASSERT_TRUE(tally->AwaitAll(until - absl::Now())) << "they wait for the lock";
    }
    for (const Tally* tally : tallies) EXPECT_EQ(tally->done(), tally->asked()) << tally->last();
  }

  int users_ = 0;
  std::unique_ptr<PostgresShardBackend> shard_;
  std::unique_ptr<PostgresUpkeepLedger> upkeep_;
  std::unique_ptr<PostgresLifecycleLedger> lifecycle_;
  std::unique_ptr<PostgresOutboxLedger> outbox_;
  absl::Mutex mutex_;  // for what answers write
};

// Field: somebody looks at a SKU's stock in a transaction and goes to lunch (woocommerce#65313, PrestaShop#35690).
TEST_F(PostgresLockTest, ALockOnOneSkusSlotsStopsTheSaleOfThatSkuOnly) {
  Tally locked, refused, sold;
  WhileLocked("SELECT FROM tranche.stock_slot WHERE sku_id = 'a' FOR UPDATE", [&] {
    OneAfterTheOther({&sold}, [&](int) {
      Buy("a", &locked);
      Buy("b", &sold);
      EXPECT_TRUE(shard_->Answers());
    });
    Buy("a", &refused, kImpatience);
    EXPECT_TRUE(refused.AwaitAll());
    EXPECT_EQ(locked.done(), 0);
  });
  EXPECT_TRUE(locked.AwaitAll());
  EXPECT_EQ(locked.done(), locked.asked()) << "it was over before their deadlines: " << locked.last();
  EXPECT_TRUE(absl::IsUnavailable(refused.last()) && LedgerIsUp(refused.last())) << refused.last();
  EXPECT_EQ(stock_->GetSku("a")->unsold, kUnits - locked.done());
  EXPECT_EQ(stock_->GetSku("b")->unsold, kUnits - sold.done());
}

// In the order of locking, a lane that waits for "b" has locked "a".
TEST_F(PostgresLockTest, ALockedSkuDoesNotKeepThoseBeforeIt) {
  Tally locked, sold;
  WhileLocked("SELECT FROM tranche.stock_slot WHERE sku_id = 'b' FOR UPDATE", [&] {
    OneAfterTheOther({&sold}, [&](int) {
      Buy("a", &sold);
      Buy("b", &locked);
    });
  });
  EXPECT_TRUE(locked.AwaitAll());
}

TEST_F(PostgresLockTest, ALockedReservationStopsTheChangesOfThatOneOnly) {
  const std::vector<Uuid> mine = Hold("a", 1), others = Hold("b", kRequests);
  Tally locked, confirmed;
  WhileLocked("SELECT FROM tranche.reservation WHERE sku_id = 'a' FOR UPDATE", [&] {
    OneAfterTheOther({&confirmed}, [&](int number) {
      if (number % 10 == 0) Apply(Payment{mine[0], "pay", 0, "EUR"}, &locked);
      Apply(Payment{others.at(static_cast<size_t>(number)), "pay", 0, "EUR"}, &confirmed);
    });
  });
  EXPECT_TRUE(locked.AwaitAll());
  EXPECT_EQ(locked.done(), 1) << "the first of them; the others repeat it";
}

TEST_F(PostgresLockTest, ALockOnASkuWithItsPoolStopsTheCancellationsOfThatSkuOnly) {
  const std::vector<Uuid> mine = Hold("a", kRequests), others = Hold("b", kRequests), paid = Hold("b", kRequests);
  Tally locked, cancelled, confirmed;
  WhileLocked("SELECT FROM tranche.sku JOIN tranche.stock_slot USING (sku_id) WHERE sku_id = 'a' FOR UPDATE", [&] {
    OneAfterTheOther({&cancelled, &confirmed}, [&](int number) {
      const auto nth = static_cast<size_t>(number);
      Apply(Cancellation{mine.at(nth), "why"}, &locked);
      Apply(Cancellation{others.at(nth), "why"}, &cancelled);
      Apply(Payment{paid.at(nth), "pay", 0, "EUR"}, &confirmed);
    });
    EXPECT_EQ(locked.done(), 0);
  });
  EXPECT_TRUE(locked.AwaitAll());
  EXPECT_EQ(locked.done(), locked.asked()) << locked.last();
}

// A cart waits on one of few threads.
TEST_F(PostgresLockTest, TwentyCartsOfALockedSkuDoNotSlowTheCartsOfAnotherOne) { BuyCartsBesideLocked({"b"}); }

// In the order of locking, a cart that waits for "b" has locked "a".
TEST_F(PostgresLockTest, TwentyCartsWithALockedSkuDoNotKeepTheirOtherSkus) { BuyCartsBesideLocked({"a", "b"}); }

TEST_F(PostgresLockTest, ALockedSkuHoldsUpTheExpiryOfItsOwnHoldsOnly) {
  Hold("a", 1000);
  Hold("b", 300);
  Hold("tv", 1);
  MakeDue("a", "1 h");
  MakeDue("b", "1 s");
  for (const std::string table : {"sku", "stock_slot"}) {
    pqxx::connection connection(postgres_.dsn());
    pqxx::work lock(connection);
    lock.exec(absl::StrCat("SELECT FROM tranche.", table, " WHERE sku_id = 'a' FOR UPDATE"));
    EXPECT_TRUE(ExpireAll("b")) << table << ": " << Pending("b") << " wait behind it";
    EXPECT_EQ(Pending("a"), 1000);
    EXPECT_EQ(upkeep_->ExpireDue(50)->locked, "a");
    Hold("b", 300);
    MakeDue("b", "1 s");
  }
  EXPECT_TRUE(ExpireAll("a")) << "once it is free";
  EXPECT_TRUE(ExpireAll("b"));
  EXPECT_EQ(upkeep_->ExpireDue(50)->locked, "");
}

// As when buyers cancel all the time. Whoever only skips what is locked would never get it.
TEST_F(PostgresLockTest, HoldsOfASkuThatOthersLockAllTheTimeExpire) {
  Hold("a", 300);
  MakeDue("a", "1 h");
  std::atomic<bool> stop{false};
  std::vector<std::thread> others;
  for (int i = 0; i < 4; ++i) {
    others.emplace_back([&] {
      pqxx::connection connection(postgres_.dsn());
      while (!stop) {
        pqxx::work lock(connection);
        lock.exec("SELECT FROM tranche.sku WHERE sku_id = 'a' FOR UPDATE");
        lock.exec("SELECT pg_sleep(0.005)");
        lock.commit();
      }
    });
  }
  EXPECT_TRUE(ExpireAll("a")) << Pending("a") << " are left";
  stop = true;
  for (std::thread& other : others) other.join();
}

TEST_F(PostgresLockTest, ALockedMessageHoldsUpNoOtherThatWasDelivered) {
  for (const Uuid& id : Hold("a", 20)) ASSERT_TRUE(lifecycle_->CancelReservations({{id, "why"}}).ok());
  const auto messages = outbox_->ClaimMessages("default", 20, absl::Seconds(60), false);
  ASSERT_TRUE(messages.ok() && messages->size() == 20u) << messages.status();
  std::vector<OutboxKey> delivered;
  std::vector<OutboxFailure> failed;
  for (const OutboxMessage& message : *messages) {
    if (delivered.size() < 10) {
      delivered.push_back(message.key);
    } else {
      failed.push_back({.key = message.key, .error = "no", .retry_after = absl::Seconds(1)});
    }
  }
  pqxx::connection connection(postgres_.dsn());
  pqxx::work lock(connection);
  for (const OutboxKey& key : {delivered[3], failed[3].key}) {
    lock.exec(absl::StrCat("SELECT FROM tranche.outbox WHERE reservation_id = '", key.reservation_id.ToString(),
                           "' FOR UPDATE"));
  }
  EXPECT_TRUE(outbox_->MarkDelivered(delivered).ok()) << "whoever waits for the lock fails";
  EXPECT_TRUE(outbox_->MarkFailed(failed).ok());
  const auto left = outbox_->ListMessages("default", OutboxState::kPending, {}, 100);
  ASSERT_TRUE(left.ok()) << left.status();
  EXPECT_EQ(left->size(), 11u) << "the one that is locked, and those that failed";
  EXPECT_EQ(std::count_if(left->begin(), left->end(), [](const auto& message) { return message.last_error == "no"; }),
            9);
  lock.abort();
  EXPECT_TRUE(outbox_->MarkDelivered(delivered).ok()) << "delivered once more";
  EXPECT_EQ(outbox_->ListMessages("default", OutboxState::kPending, {}, 100)->size(), 10u);
}

// The wait of one statement, and not of the connection's later ones.
TEST_F(PostgresLockTest, ABriefWaitEndsByItself) {
  PoolOptions options;
  options.dsn = postgres_.node_dsn();
  options.max_connections = 1;  // which waits for locks without end
  ConnectionPool pool(options);
  PostgresLedger sales(&pool);
  PostgresLifecycleLedger changes(&pool);
  const LockMode brief = LockMode::kWaitBriefly;
  const ReservationClaim claim = Claim("a", "brief");
  const std::vector<Uuid> held = Hold("a", 3);
  const auto confirm = [&] { return changes.ConfirmReservations(brief, {{held[0], "pay", 0, "EUR"}}); };
  const auto cancel = [&] { return changes.CancelReservations(brief, {{held[1], "why"}}); };
  const auto extend = [&] { return changes.ExtendReservations(brief, {{held[2], 1, absl::Seconds(1)}}); };
  {
    pqxx::connection connection(postgres_.dsn());
    pqxx::work lock(connection);
    lock.exec("SELECT FROM tranche.reservation JOIN tranche.stock_slot USING (sku_id) WHERE sku_id = 'a' FOR UPDATE");
    for (const absl::Status& status : {sales.CommitReservations(node_, brief, {&claim, 1}).status(), confirm().status(),
                                       cancel().status(), extend().status()}) {
      EXPECT_TRUE(FoundLocked(status) && absl::StrContains(status.message(), "lock timeout")) << status;
    }
  }
  EXPECT_EQ(sales.CommitReservations(node_, brief, {&claim, 1})->front().outcome, CommitOutcome::kCreated);
  for (const auto& result : {confirm(), cancel(), extend()}) {
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->front().outcome, ChangeOutcome::kDone);
  }
  auto lease = pool.Acquire();
  ASSERT_TRUE(lease.ok()) << lease.status();
  EXPECT_EQ(pqxx::nontransaction((*lease)->pq).exec1("SHOW lock_timeout")[0].as<std::string>(), "0");
}

// A row that is not there yet cannot be skipped.
TEST_F(PostgresLockTest, AnInsertThatWaitsStopsTheClaimsOfThatBuyerOnly) {
  Tally stuck, sold;
  WhileLocked(
      "INSERT INTO tranche.reservation (reservation_id, sku_id, user_id, quantity, ordinal, amount_minor, currency, "
      "incarnation_id, created_at, expires_at) "
      "SELECT gen_random_uuid(), 'b', 'stuck', 1, 1, 0, 'EUR', 0, now(), now() + interval '1 h'",
      [&] {
        OneAfterTheOther({&sold}, [&](int number) {
          if (number % 30 == 0) {
            shard_->claims->Submit(node_, Claim("b", "stuck"), absl::Now() + kPatience, stuck.Expect<CommitResult>());
          }
          Buy("a", &sold);
        });
        EXPECT_EQ(stuck.done(), 0);
      });
  EXPECT_TRUE(stuck.AwaitAll());
}

// A lock for each buyer of a SKU with a limit above 1: more than the server has room for.
TEST_F(PostgresLockTest, ABatchForWhichTheLockTableIsTooFullIsCommittedInParts) {
  Tally first, sold;
  Buy("a", &first);
  ASSERT_TRUE(first.AwaitAll());
  ASSERT_EQ(first.done(), 1) << "opens one connection; while the table is full, no other can be opened";
  pqxx::connection connection(postgres_.dsn());
  {
    pqxx::nontransaction fill(connection);
    EXPECT_THROW(fill.exec("SELECT pg_advisory_lock(g) FROM generate_series(1, 1000000) AS g"), pqxx::sql_error);
  }
  for (int i = 0; i < 500; ++i) {
    shard_->claims->Submit(node_, Claim("a", absl::StrCat("user", ++users_)), absl::Now() + kPatience,
                           sold.Expect<CommitResult>());
  }
  const absl::Time give_up = absl::Now() + absl::Seconds(60);
  while (shard_->claims->Stats().slow == 0 && absl::Now() < give_up) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_GT(shard_->claims->Stats().slow, 0) << "not even one request alone goes through";
  EXPECT_TRUE(shard_->Answers()) << sold.last();
  pqxx::nontransaction some(connection);
  some.exec("SELECT pg_advisory_unlock(g) FROM generate_series(1, 100) AS g");
  EXPECT_TRUE(sold.AwaitAll());
  EXPECT_EQ(sold.done(), 500) << sold.last();
  EXPECT_TRUE(shard_->Answers());
}

}  // namespace
}  // namespace tranche::storage
