#include "tests/contract/ledger_backend.h"

#include <atomic>
#include <pqxx/pqxx>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "glog/logging.h"
#include "storage/fake/fake_draw_ledger.h"
#include "storage/fake/fake_front_ledger.h"
#include "storage/fake/fake_ledger.h"
#include "storage/fake/fake_outbox.h"
#include "storage/postgres/connection_pool.h"
#include "storage/postgres/postgres_draw_ledger.h"
#include "storage/postgres/postgres_front_ledger.h"
#include "storage/postgres/postgres_group_ledger.h"
#include "storage/postgres/postgres_health_ledger.h"
#include "storage/postgres/postgres_ledger.h"
#include "storage/postgres/postgres_lifecycle_ledger.h"
#include "storage/postgres/postgres_outbox_ledger.h"
#include "storage/postgres/postgres_upkeep_ledger.h"
#include "tests/support/lent_database.h"

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
  FrontLedger& front() override { return front_; }
  DrawLedger& draws() override { return draws_; }
  GroupLedger& groups() override { return ledger_; }
  void LetPass(absl::Duration duration) override { clock_.AdvanceBy(duration); }
  void CountFrontChanges(int64_t changes) override { front_.CountChanges(changes); }
  int64_t StoredFrontRows() override { return static_cast<int64_t>(front_.stored()); }
  void FillAccessList() override {
    for (int first = 1; first <= kMaxAccessEntries; first += kMaxAccessBatch) {
      std::vector<AccessEntry> batch;
      for (int i = first; i < first + kMaxAccessBatch; ++i) {
        batch.push_back({.subject = {AccessSubject::Kind::kUser, absl::StrCat("u", i)}});
      }
      CHECK(front_.AddAccessEntries(batch, /*preview=*/false, "test").ok());
    }
  }

 private:
  AdvancedClock clock_;
  FakeOutbox outbox_{&clock_};
  FakeLedger ledger_{&clock_, &outbox_};
  FakeFrontLedger front_{&clock_, &ledger_};
  FakeDrawLedger draws_{&ledger_, &clock_};
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
  FrontLedger& front() override { return front_; }
  DrawLedger& draws() override { return draws_; }
  GroupLedger& groups() override { return groups_; }

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
    transaction.exec_params(
        "UPDATE tranche.group_offer SET created_at = created_at - $1 * interval '1 us', "
        "closed_at = closed_at - $1 * interval '1 us'",
        us);
    transaction.exec_params(
        "UPDATE tranche.group_buy SET created_at = created_at - $1 * interval '1 us', "
        "deadline_at = deadline_at - $1 * interval '1 us', finished_at = finished_at - $1 * interval '1 us'",
        us);
    transaction.exec_params(
        "UPDATE tranche.group_member SET joined_at = joined_at - $1 * interval '1 us', "
        "paid_at = paid_at - $1 * interval '1 us'",
        us);
    transaction.exec_params("UPDATE tranche.hold_reminder SET at_due = at_due - $1 * interval '1 us'", us);
    transaction.exec_params("UPDATE tranche.audit_log SET at = at - $1 * interval '1 us'", us);
    transaction.exec_params("UPDATE tranche.late_payment SET received_at = received_at - $1 * interval '1 us'", us);
    transaction.exec_params(
        "UPDATE tranche.heartbeat SET started_at = started_at - $1 * interval '1 us', "
        "beat_at = beat_at - $1 * interval '1 us', ended_at = ended_at - $1 * interval '1 us'",
        us);
    transaction.exec_params("UPDATE tranche.front_key SET since = since - $1 * interval '1 us'", us);
    transaction.exec_params("UPDATE tranche.access_entry SET expires_at = expires_at - $1 * interval '1 us'", us);
    transaction.commit();
  }

  void CountFrontChanges(int64_t changes) override {
    pqxx::connection connection(database_.owner_dsn());
    pqxx::work transaction(connection);
    transaction.exec_params(
        "INSERT INTO tranche.front_change (version) "
        "SELECT d.version + i FROM tranche.front_door d, generate_series(1, $1::bigint) AS i",
        changes);
    transaction.exec(
        "UPDATE tranche.front_door SET version = c.version, stamp = c.stamp "
        "FROM (SELECT version, stamp FROM tranche.front_change ORDER BY version DESC LIMIT 1) AS c");
    transaction.commit();
  }

  int64_t StoredFrontRows() override {
    pqxx::connection connection(database_.owner_dsn());
    pqxx::nontransaction transaction(connection);
    return transaction
        .exec1("SELECT (SELECT count(*) FROM tranche.front_policy) + (SELECT count(*) FROM tranche.access_entry)")[0]
        .as<int64_t>();
  }

  void FillAccessList() override {
    pqxx::connection connection(database_.owner_dsn());
    pqxx::work transaction(connection);
    transaction.exec_params(
        "INSERT INTO tranche.access_entry (kind, value, allow, reason, version, changed_at, changed_by) "
        "SELECT 'BUYER', 'u' || i, false, '', 1, now(), 'test' FROM generate_series(1, $1::integer) AS i",
        kMaxAccessEntries);
    transaction.commit();
  }

 private:
  static PoolOptions Options(const testing::LentDatabase& database) {
    PoolOptions options;
    options.dsn = database.node_dsn();
    return options;
  }

  testing::LentDatabase database_;  // destroyed after the pool that is connected to it
  ConnectionPool pool_{Options(database_)};
  PostgresLedger reservations_{&pool_};
  PostgresStockLedger stock_{&pool_};
  PostgresLifecycleLedger lifecycle_{&pool_};
  PostgresUpkeepLedger upkeep_{&pool_};
  PostgresOutboxLedger outbox_{&pool_};
  PostgresHealthLedger health_{&pool_};
  PostgresFrontLedger front_{&pool_};
  PostgresDrawLedger draws_{&pool_};
  PostgresGroupLedger groups_{&pool_};
};

}  // namespace

std::unique_ptr<LedgerBackend> LedgerBackend::Fake() { return std::make_unique<FakeBackend>(); }
std::unique_ptr<LedgerBackend> LedgerBackend::Postgres() { return std::make_unique<PostgresBackend>(); }

}  // namespace tranche::storage
