// Another transaction has locked something for long, or the server lacks something: it stops only who needs that.
#include <gtest/gtest.h>

#include <memory>
#include <pqxx/pqxx>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "storage/ledger/ledger_error.h"
#include "storage/postgres/postgres_shard_backend.h"
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
  void AwaitAll() {
    absl::MutexLock lock(&mutex_);
    const auto all = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return done_ + failed_ == asked_; };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&all), absl::Seconds(30)));
  }

 private:
  static bool Done(const CommitResult& result) { return result.outcome == CommitOutcome::kCreated; }
  static bool Done(const ChangeResult& result) { return result.outcome == ChangeOutcome::kDone; }

  mutable absl::Mutex mutex_;
  int asked_ ABSL_GUARDED_BY(mutex_) = 0;
  int done_ ABSL_GUARDED_BY(mutex_) = 0;
  int failed_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status last_ ABSL_GUARDED_BY(mutex_);
};

// A front node's pools and pipelines, and the SKUs "a" and "b".
class PostgresLockTest : public PostgresOutageTest {
 protected:
  static constexpr int kUnits = 2000;
  // So long does another transaction hold its lock, and so long do buyers wait: what is locked fails for many of them.
  static constexpr auto kLocked = absl::Seconds(5);
  static constexpr auto kPatience = absl::Seconds(2);
  static constexpr auto kBetweenRequests = absl::Milliseconds(10);

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
  }
  void TearDown() override {
    if (shard_ != nullptr) shard_->StopPipelines();
    const auto report = stock_->Verify("");
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->violations.empty());
  }

  void Buy(const std::string& sku_id, Tally* tally) {
    shard_->claims->Submit(node_, Claim(sku_id, absl::StrCat("user", ++users_)), absl::Now() + kPatience,
                           tally->Expect<CommitResult>());
  }
  void Apply(Change change, Tally* tally) {
    shard_->changes->Submit(std::move(change), absl::Now() + kPatience, tally->Expect<ChangeResult>());
  }
  std::vector<Uuid> Hold(const std::string& sku_id, int count) {
    const auto claims = testing::ClaimsOf(sku_id, absl::StrCat(sku_id, "-holder"), count);
    EXPECT_TRUE(ledger_->CommitReservations(node_, LockMode::kWait, claims).ok());
    std::vector<Uuid> ids;
    for (const ReservationClaim& claim : claims) ids.push_back(claim.reservation_id);
    return ids;
  }
  // Locks what the query returns, and calls `request` again and again while it is locked.
  template <typename Request>
  void WhileLocked(const std::string& query, const Request& request) {
    pqxx::connection connection(postgres_.dsn());
    pqxx::work lock(connection);
    lock.exec(query);
    const absl::Time until = absl::Now() + kLocked;
    for (int number = 0; absl::Now() < until; ++number) {
      request(number);
      absl::SleepFor(kBetweenRequests);
    }
    lock.abort();
  }
  static void ExpectNearlyAll(const Tally& tally) {
    EXPECT_GE(tally.asked(), 50);
    EXPECT_GT(tally.done(), tally.asked() * 95 / 100) << "of " << tally.asked() << "; " << tally.last();
  }

  int users_ = 0;
  std::unique_ptr<PostgresShardBackend> shard_;
};

// Field: somebody looks at a SKU's stock in a transaction and goes to lunch (woocommerce#65313, PrestaShop#35690).
TEST_F(PostgresLockTest, ALockOnOneSkusSlotsStopsTheSaleOfThatSkuOnly) {
  Tally locked, sold;
  WhileLocked("SELECT FROM tranche.stock_slot WHERE sku_id = 'a' FOR UPDATE", [&](int) {
    Buy("a", &locked);
    Buy("b", &sold);
    EXPECT_TRUE(shard_->Answers());
  });
  Buy("a", &locked);
  locked.AwaitAll();
  sold.AwaitAll();
  ExpectNearlyAll(sold);
  EXPECT_LT(locked.done(), locked.asked());
  EXPECT_GT(locked.done(), 0) << "those that still waited when it was over";
  EXPECT_TRUE(absl::IsUnavailable(locked.last()) && LedgerIsUp(locked.last())) << locked.last();
  EXPECT_EQ(stock_->GetSku("a")->unsold, kUnits - locked.done());
  EXPECT_EQ(stock_->GetSku("b")->unsold, kUnits - sold.done());
}

// In the order of locking, a lane that waits for "b" has locked "a".
TEST_F(PostgresLockTest, ALockedSkuDoesNotKeepThoseBeforeIt) {
  Tally locked, sold;
  WhileLocked("SELECT FROM tranche.stock_slot WHERE sku_id = 'b' FOR UPDATE", [&](int) {
    Buy("a", &sold);
    Buy("b", &locked);
  });
  locked.AwaitAll();
  sold.AwaitAll();
  ExpectNearlyAll(sold);
}

TEST_F(PostgresLockTest, ALockedReservationStopsTheChangesOfThatOneOnly) {
  const std::vector<Uuid> mine = Hold("a", 1), others = Hold("b", 1000);
  Tally locked, confirmed;
  WhileLocked("SELECT FROM tranche.reservation WHERE sku_id = 'a' FOR UPDATE", [&](int number) {
    if (number % 10 == 0) Apply(Payment{mine[0], "pay", 0, "EUR"}, &locked);
    Apply(Payment{others.at(static_cast<size_t>(number)), "pay", 0, "EUR"}, &confirmed);
  });
  locked.AwaitAll();
  confirmed.AwaitAll();
  ExpectNearlyAll(confirmed);
  EXPECT_EQ(locked.done(), 1) << "the first of those that still waited when it was over; the others repeat it";
}

TEST_F(PostgresLockTest, ALockOnASkuWithItsPoolStopsTheCancellationsOfThatSkuOnly) {
  const std::vector<Uuid> mine = Hold("a", 1000), others = Hold("b", 1000);
  Tally locked, cancelled, confirmed;
  WhileLocked("SELECT FROM tranche.sku JOIN tranche.stock_slot USING (sku_id) WHERE sku_id = 'a' FOR UPDATE",
              [&](int number) {
                const auto nth = static_cast<size_t>(number);
                Apply(Cancellation{mine.at(nth), "why"}, &locked);
                Apply(Cancellation{others.at(nth), "why"}, &cancelled);
                if (number % 2 == 1) Apply(Payment{others.at(999 - nth), "pay", 0, "EUR"}, &confirmed);
              });
  locked.AwaitAll();
  cancelled.AwaitAll();
  confirmed.AwaitAll();
  ExpectNearlyAll(cancelled);
  ExpectNearlyAll(confirmed);
  EXPECT_GT(locked.done(), 0);
}

// A row that is not there yet cannot be skipped.
TEST_F(PostgresLockTest, AnInsertThatWaitsStopsTheClaimsOfThatBuyerOnly) {
  Tally stuck, sold;
  WhileLocked(
      "INSERT INTO tranche.reservation (reservation_id, sku_id, user_id, quantity, ordinal, amount_minor, currency, "
      "incarnation_id, created_at, expires_at) "
      "SELECT gen_random_uuid(), 'b', 'stuck', 1, 1, 0, 'EUR', 0, now(), now() + interval '1 h'",
      [&](int number) {
        if (number % 100 == 0) {
          shard_->claims->Submit(node_, Claim("b", "stuck"), absl::Now() + kPatience, stuck.Expect<CommitResult>());
        }
        Buy("a", &sold);
      });
  stuck.AwaitAll();
  sold.AwaitAll();
  ExpectNearlyAll(sold);
}

// A lock for each buyer of a SKU with a limit above 1: more than the server has room for.
TEST_F(PostgresLockTest, ABatchForWhichTheLockTableIsTooFullIsCommittedInParts) {
  Tally first, sold;
  for (const char* sku_id : {"a", "b"}) Buy(sku_id, &first);
  first.AwaitAll();
  ASSERT_EQ(first.done(), 2) << "opens the connections";
  pqxx::connection connection(postgres_.dsn());
  {
    pqxx::nontransaction fill(connection);
    EXPECT_THROW(fill.exec("SELECT pg_advisory_lock(g) FROM generate_series(1, 1000000) AS g"), pqxx::sql_error);
  }
  pqxx::nontransaction some(connection);
  some.exec("SELECT pg_advisory_unlock(g) FROM generate_series(1, 100) AS g");
  for (int i = 0; i < 500; ++i) {
    shard_->claims->Submit(node_, Claim("a", absl::StrCat("user", ++users_)), absl::Now() + absl::Seconds(30),
                           sold.Expect<CommitResult>());
  }
  sold.AwaitAll();
  EXPECT_EQ(sold.done(), 500) << sold.last();
  EXPECT_TRUE(shard_->Answers());
}

}  // namespace
}  // namespace tranche::storage
