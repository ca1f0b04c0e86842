// Six ways to sell from PostgreSQL, as shops do it. All have the same table of orders, whose keys see to repeated
// claims and to the limit of a buyer; they differ in how they take a unit. A claim first looks, without a lock, whether
// it must be refused anyway. Then it takes the unit and inserts the order in one transaction, which is durable when it
// is answered. Statements are prepared.
#pragma once

#include <memory>
#include <string>

#include "tests/benchmark/peers/peer.h"

namespace tranche::peers {

enum class PostgresWay {
  kNaive,        // writes back what it has read, less one: sells too much
  kPessimistic,  // SELECT ... FOR UPDATE
  kOptimistic,   // writes if the version is still the one that it has read; tries again a few times
  kAtomic,       // UPDATE ... SET units_left = units_left - 1 WHERE units_left >= 1
  kRowPerUnit,   // a row for each unit; takes one that nobody has locked: SKIP LOCKED
  kSlots,        // the stock is split over 16 rows; one call of a procedure
};

// `dsn`: of an owner of the database, who may make the schema "peers" there. Connects nowhere yet.
std::unique_ptr<Peer> MakePostgresPeer(PostgresWay way, const std::string& dsn);

}  // namespace tranche::peers
