#include "tests/benchmark/peers/postgres_peer.h"

#include <cstdint>
#include <optional>
#include <pqxx/pqxx>
#include <utility>

#include "absl/time/time.h"
#include "glog/logging.h"
#include "storage/base/status_macros.h"
#include "storage/ledger/ledger_error.h"
#include "storage/postgres/connection_pool.h"
#include "storage/postgres/postgres_error.h"
#include "tests/benchmark/peers/backoff.h"
#include "tests/benchmark/peers/embedded_text.h"

namespace tranche::peers {
namespace {

using PgConnection = storage::ConnectionPool::Connection;

// More than there are sellers in any run; the server's own limit may be lower.
constexpr int kPgConnections = 256;

// What a claim finds before it changes anything. Of what is committed, and outdated at once.
struct PgSeen {
  int64_t units_left = 0;  // 0, too, if there is no such SKU; with a row per unit, 1 if there is any
  int64_t version = 0;
  bool replayed = false;    // the id has an order
  bool user_limit = false;  // the buyer has one for this SKU
};

// One try of a claim.
struct PgAttempt {
  PgConnection& connection;
  const Claim& claim;
  PgSeen seen = {};
  pqxx::transaction_base* transaction = nullptr;  // the one under way

  // Throws, as libpqxx does.
  template <typename... Args>
  pqxx::result Run(const char* file, const Args&... args) {
    if (connection.prepared.insert(std::string(file)).second) connection.pq.prepare(file, EmbeddedText(file));
    return transaction->exec_prepared(file, args...);
  }

  PgSeen Look(const char* file) {
    const pqxx::result rows = Run(file, claim.reservation_id, claim.sku_id, claim.user_id);
    const pqxx::row row = rows.front();
    return {.units_left = row[0].as<int64_t>(0),
            .version = row[1].as<int64_t>(0),
            .replayed = row[2].as<bool>(),
            .user_limit = row[3].as<bool>()};
  }

  // Waits for another transaction that inserts the same id, or for the same buyer and SKU.
  Outcome InsertOrder() {
    const pqxx::result inserted =
        Run("postgres/insert_order.sql", claim.reservation_id, claim.sku_id, claim.user_id, claim.quantity);
    if (inserted.affected_rows() == 1) return Outcome::kCreated;
    // Another statement, since this one's snapshot may be older than the row that was in the way.
    const pqxx::result same_id = Run("postgres/find_order.sql", claim.reservation_id);
    return same_id.empty() ? Outcome::kUserLimit : Outcome::kReplayed;
  }
};

constexpr char kPgLook[] = "postgres/look.sql";
constexpr char kPgLookForUnits[] = "postgres/look_for_units.sql";

// The ways insert the order first where they can, so that the row that all want is locked last and for least time.

Outcome PgSellNaive(PgAttempt& attempt) {
  const Outcome inserted = attempt.InsertOrder();
  if (inserted != Outcome::kCreated) return inserted;
  attempt.Run("postgres/write_stock.sql", attempt.claim.sku_id, attempt.seen.units_left - 1);
  return Outcome::kCreated;
}

Outcome PgSellPessimistic(PgAttempt& attempt) {
  const Outcome inserted = attempt.InsertOrder();
  if (inserted != Outcome::kCreated) return inserted;
  const pqxx::result locked = attempt.Run("postgres/lock_stock.sql", attempt.claim.sku_id);
  const int64_t units_left = locked.empty() ? 0 : locked.front()[0].as<int64_t>();
  if (units_left < 1) return Outcome::kSoldOut;
  attempt.Run("postgres/write_stock.sql", attempt.claim.sku_id, units_left - 1);
  return Outcome::kCreated;
}

// The stock first: most tries end there while many buy, and an order that was inserted would be thrown away.
Outcome PgSellOptimistic(PgAttempt& attempt) {
  const pqxx::result written = attempt.Run("postgres/write_stock_of_version.sql", attempt.claim.sku_id,
                                           attempt.seen.units_left - 1, attempt.seen.version);
  return written.affected_rows() == 1 ? attempt.InsertOrder() : Outcome::kConflict;
}

Outcome PgSellAtomic(PgAttempt& attempt) {
  const Outcome inserted = attempt.InsertOrder();
  if (inserted != Outcome::kCreated) return inserted;
  const pqxx::result taken = attempt.Run("postgres/take_unit.sql", attempt.claim.sku_id);
  return taken.affected_rows() == 1 ? Outcome::kCreated : Outcome::kSoldOut;
}

Outcome PgSellUnitRow(PgAttempt& attempt) {
  const Outcome inserted = attempt.InsertOrder();
  if (inserted != Outcome::kCreated) return inserted;
  const pqxx::result taken =
      attempt.Run("postgres/take_unit_row.sql", attempt.claim.reservation_id, attempt.claim.sku_id);
  if (taken.affected_rows() == 1) return Outcome::kCreated;
  // That all units are locked does not say that they are sold: those who have them may yet give them back.
  return attempt.Look(kPgLookForUnits).units_left > 0 ? Outcome::kConflict : Outcome::kSoldOut;
}

Outcome PgSellFromSlots(PgAttempt& attempt) {
  const pqxx::result rows = attempt.Run("postgres/call_sell_from_slots.sql", attempt.claim.reservation_id,
                                        attempt.claim.sku_id, attempt.claim.user_id);
  const std::string word = rows.front()[0].as<std::string>();
  if (word == "CREATED") return Outcome::kCreated;
  if (word == "REPLAYED") return Outcome::kReplayed;
  if (word == "USER_LIMIT") return Outcome::kUserLimit;
  CHECK_EQ(word, "SOLD_OUT");
  return Outcome::kSoldOut;
}

struct PgWay {
  const char* fill;         // inserts the stock
  const char* count_units;  // that are left
  const char* look;         // nullptr: `sell` looks itself, and is one call in autocommit mode
  Outcome (*sell)(PgAttempt& attempt);
};

const PgWay& PgWayOf(PostgresWay way) {
  static constexpr char kFill[] = "postgres/fill_stock.sql";
  static constexpr char kCount[] = "postgres/count_stock.sql";
  static constexpr PgWay kNaive = {kFill, kCount, kPgLook, &PgSellNaive};
  static constexpr PgWay kPessimistic = {kFill, kCount, kPgLook, &PgSellPessimistic};
  static constexpr PgWay kOptimistic = {kFill, kCount, kPgLook, &PgSellOptimistic};
  static constexpr PgWay kAtomic = {kFill, kCount, kPgLook, &PgSellAtomic};
  static constexpr PgWay kUnitRows = {"postgres/fill_units.sql", "postgres/count_units.sql", kPgLookForUnits,
                                      &PgSellUnitRow};
  static constexpr PgWay kSlots = {"postgres/fill_slots.sql", "postgres/count_slots.sql", nullptr, &PgSellFromSlots};
  switch (way) {
    case PostgresWay::kNaive:
      return kNaive;
    case PostgresWay::kPessimistic:
      return kPessimistic;
    case PostgresWay::kOptimistic:
      return kOptimistic;
    case PostgresWay::kAtomic:
      return kAtomic;
    case PostgresWay::kRowPerUnit:
      return kUnitRows;
    case PostgresWay::kSlots:
      return kSlots;
  }
  LOG(FATAL) << "no such way: " << static_cast<int>(way);
}

// Commits only what was created; the rest is taken back. Throws, as libpqxx does.
Outcome PgSellOnce(const PgWay& way, PgConnection& connection, const Claim& claim) {
  PgAttempt attempt = {.connection = connection, .claim = claim};
  {
    pqxx::nontransaction single(connection.pq);
    attempt.transaction = &single;
    if (way.look == nullptr) return way.sell(attempt);
    attempt.seen = attempt.Look(way.look);
  }
  if (attempt.seen.replayed) return Outcome::kReplayed;
  if (attempt.seen.user_limit) return Outcome::kUserLimit;
  if (attempt.seen.units_left < 1) return Outcome::kSoldOut;
  pqxx::work transaction(connection.pq);
  attempt.transaction = &transaction;
  const Outcome outcome = way.sell(attempt);
  if (outcome == Outcome::kCreated) transaction.commit();
  return outcome;
}

class PgSeller final : public Seller {
 public:
  PgSeller(const PgWay& way, storage::ConnectionPool* pool) : way_(way), pool_(pool) {}

  absl::StatusOr<Outcome> Sell(const Claim& claim) override {
    for (int next = 2;; ++next) {
      absl::StatusOr<Outcome> outcome = TryOnce(claim);
      if (outcome.ok() ? *outcome != Outcome::kConflict : !storage::IsRetryTransaction(outcome.status())) {
        return outcome;
      }
      if (next > kMostTries) return Outcome::kConflict;
      WaitBeforeTry(next);
    }
  }

 private:
  absl::StatusOr<Outcome> TryOnce(const Claim& claim) {
    ASSIGN_OR_RETURN(auto lease, pool_->Acquire());
    try {
      return PgSellOnce(way_, *lease, claim);
    } catch (const std::exception& error) {
      return lease.Failed(error);
    }
  }

  const PgWay& way_;
  storage::ConnectionPool* const pool_;
};

class PgPeer final : public Peer {
 public:
  PgPeer(const PgWay& way, const std::string& dsn)
      : way_(way),
        dsn_(dsn),
        pool_({.dsn = dsn,
               .max_connections = kPgConnections,
               .idle_timeout = absl::InfiniteDuration(),
               .application_name = "tranche-peer"}) {}

  absl::Status Prepare(int skus, int64_t stock) override {
    try {
      // Not one of the pool's: much stock takes longer than any statement of theirs may.
      pqxx::connection connection(dsn_);
      pqxx::work transaction(connection);
      transaction.exec(EmbeddedText("postgres/schema.sql"));
      transaction.exec(EmbeddedText("postgres/sell_from_slots.sql"));
      transaction.exec_params(EmbeddedText(way_.fill), skus, stock);
      transaction.exec(EmbeddedText("postgres/analyze.sql"));
      transaction.commit();
      return absl::OkStatus();
    } catch (const std::exception& error) {
      return storage::TranslatePostgresError(error, /*sent=*/false).status;
    }
  }

  absl::StatusOr<std::unique_ptr<Seller>> MakeSeller() override {
    RETURN_IF_ERROR(pool_.Acquire().status());
    return std::make_unique<PgSeller>(way_, &pool_);
  }

  absl::StatusOr<Stored> Count() override {
    try {
      pqxx::connection connection(dsn_);
      pqxx::work transaction(connection);
      Stored stored;
      stored.units_left = transaction.exec1(EmbeddedText(way_.count_units))[0].as<int64_t>();
      const pqxx::result orders = transaction.exec(EmbeddedText("postgres/orders.sql"));
      for (const auto& order : orders) {
        stored.order_ids.push_back(order[0].as<std::string>());
        stored.units_sold += order[1].as<int64_t>();
      }
      return stored;
    } catch (const std::exception& error) {
      return storage::TranslatePostgresError(error, /*sent=*/false).status;
    }
  }

 private:
  const PgWay& way_;
  const std::string dsn_;
  storage::ConnectionPool pool_;
};

}  // namespace

std::unique_ptr<Peer> MakePostgresPeer(PostgresWay way, const std::string& dsn) {
  return std::make_unique<PgPeer>(PgWayOf(way), dsn);
}

}  // namespace tranche::peers
