#include "tests/contract/ledger_backend.h"

#include "storage/fake_ledger.h"
#include "storage/postgres/connection_pool.h"
#include "storage/postgres/postgres_ledger.h"
#include "tests/support/test_postgres.h"

namespace tranche::storage {
namespace {

class FakeBackend : public LedgerBackend {
 public:
  ReservationLedger& reservations() override { return ledger_; }
  StockLedger& stock() override { return ledger_; }

 private:
  FakeLedger ledger_{Clock::Real()};
};

// Connects as the servers do, so that what they lack a right to fails here too.
class PostgresBackend : public LedgerBackend {
 public:
  ReservationLedger& reservations() override { return reservations_; }
  StockLedger& stock() override { return stock_; }

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
};

}  // namespace

std::unique_ptr<LedgerBackend> LedgerBackend::Fake() { return std::make_unique<FakeBackend>(); }
std::unique_ptr<LedgerBackend> LedgerBackend::Postgres() { return std::make_unique<PostgresBackend>(); }

}  // namespace tranche::storage
