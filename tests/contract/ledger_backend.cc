#include "tests/contract/ledger_backend.h"

#include <atomic>
#include <pqxx/pqxx>

#include "absl/time/clock.h"
#include "storage/fake/fake_ledger.h"
#include "storage/fake/fake_outbox.h"
#include "storage/postgres/connection_pool.h"
#include "storage/postgres/postgres_health_ledger.h"
#include "storage/postgres/postgres_ledger.h"
#include "storage/postgres/postgres_lifecycle_ledger.h"
#include "storage/postgres/postgres_outbox_ledger.h"
#include "storage/postgres/postgres_upkeep_ledger.h"
#include "tests/support/test_postgres.h"

namespace tranche::storage {
namespace {

// The wall clock, put forward. Thread-safe.
class AdvancedClock : public Clock {
 public:
  absl::Time Now() const override { return absl::Now() + absl::Microseconds(ahead_us_.load()); }
  void AdvanceBy(absl::Duration duration) { ahead_us_ += absl::ToInt64Microseconds(duration); }

 private:
  std::atomic<int64_t> ahead_us_{0};
};

class FakeBackend : public LedgerBackend {
 public:
  ReservationLedger& reservations() override { return ledger_; }
  StockLedger& stock() override { return ledger_; }
  LifecycleLedger& lifecycle() override { return ledger_; }
  UpkeepLedger& upkeep() override { return ledger_; }
  OutboxLedger& outbox() override { return outbox_; }
  HealthLedger& health() override { return ledger_; }
  void LetPass(absl::Duration duration) override { clock_.AdvanceBy(duration); }

 private:
  AdvancedClock clock_;
  FakeOutbox outbox_{&clock_};
  FakeLedger ledger_{&clock_, &outbox_};
};

// Connects as the servers do, so that missing rights fail here too.
class PostgresBackend : public LedgerBackend {
 public:
  ReservationLedger& reservations() override { return reservations_; }
  StockLedger& stock() override { return stock_; }
  LifecycleLedger& lifecycle() override { return lifecycle_; }
  UpkeepLedger& upkeep() override { return upkeep_; }
  OutboxLedger& outbox() override { return outbox_; }
  HealthLedger& health() override { return health_; }

  // The database's clock is the machine's, so this moves everything into the past instead.
  void LetPass(absl::Duration duration) override {
    pqxx::connection connection(database_.owner_dsn());
    pqxx::work transaction(connection);
    const int64_t us = absl::ToInt64Microseconds(duration);
    transaction.exec_params(
        "UPDATE tranche.reservation SET created_at = created_at - $1 * interval '1 us', "
        "expires_at = expires_at - $1 * interval '1 us', finished_at = finished_at - $1 * interval '1 us'",
        us);
    transaction.exec_params(
        "UPDATE tranche.outbox SET created_at = created_at - $1 * interval '1 us', "
        "next_attempt_at = next_attempt_at - $1 * interval '1 us'",
        us);
    transaction.exec_params(
        "UPDATE tranche.sku SET opens_at = opens_at - $1 * interval '1 us', "
        "closes_at = closes_at - $1 * interval '1 us'",
        us);
    transaction.exec_params("UPDATE tranche.audit_log SET at = at - $1 * interval '1 us'", us);
    transaction.exec_params("UPDATE tranche.late_payment SET received_at = received_at - $1 * interval '1 us'", us);
    transaction.exec_params(
        "UPDATE tranche.heartbeat SET started_at = started_at - $1 * interval '1 us', "
        "beat_at = beat_at - $1 * interval '1 us', ended_at = ended_at - $1 * interval '1 us'",
        us);
    transaction.commit();
  }

 private:
  static PoolOptions Options(const testing::TestDatabase& database) {
    PoolOptions options;
    options.dsn = database.node_dsn();
    return options;
  }

  testing::TestDatabase database_;
  ConnectionPool pool_{Options(database_)};
  PostgresLedger reservations_{&pool_};
  PostgresStockLedger stock_{&pool_};
  PostgresLifecycleLedger lifecycle_{&pool_};
  PostgresUpkeepLedger upkeep_{&pool_};
  PostgresOutboxLedger outbox_{&pool_};
  PostgresHealthLedger health_{&pool_};
};

}  // namespace

std::unique_ptr<LedgerBackend> LedgerBackend::Fake() { return std::make_unique<FakeBackend>(); }
std::unique_ptr<LedgerBackend> LedgerBackend::Postgres() { return std::make_unique<PostgresBackend>(); }

}  // namespace tranche::storage
