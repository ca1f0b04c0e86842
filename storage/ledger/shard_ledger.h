// Which shards exist, and what a ledger must do because there are several.
//
// A shard is one database with its own SKUs. The home shard knows the others and numbers the incarnations, which are
// the same on every shard.
//
// Threads, blocking and errors are those of every ledger: storage/ledger/README.md.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/ledger/actor.h"
#include "storage/ledger/incarnation_ledger.h"
#include "storage/ledger/shard_name.h"

namespace tranche::storage {

struct Shard {
  std::string name;
  std::string dsn;  // without a password
  absl::Time added_at;
};

// Describes a database as a shard.
struct ShardIdentity {
  std::string ledger_id;  // of the database; a UUID
  std::string name;       // kHomeShard until it is added as another one
  std::string home_id;    // its home's ledger_id; "" at home
  bool used = false;      // it has SKUs, incarnations or shards
};

// Numbers of migrations.
struct SchemaRange {
  int version = 0;        // of the database's schema
  int oldest_server = 0;  // of the oldest servers that it serves
};

class ShardLedger {
 public:
  virtual ~ShardLedger() = default;

  // kFailedPrecondition for a schema from before there was a range.
  virtual absl::StatusOr<SchemaRange> Schema() = 0;

  virtual absl::StatusOr<ShardIdentity> Identity() = 0;

  // The database's clock. It was read while this call was under way.
  virtual absl::StatusOr<absl::Time> ReadClock() = 0;

  // Only at home. Ordered by name.
  virtual absl::StatusOr<std::vector<Shard>> ListShards() = 0;
  // Another DSN than before means that the shard has moved. False if nothing changed.
  virtual absl::StatusOr<bool> AddShard(const std::string& name, const std::string& dsn, const Actor& actor) = 0;
  // Notes that `shard` has a SKU with this id, or will soon. kAlreadyExists if another shard has one.
  virtual absl::Status ReserveSku(const std::string& sku_id, const std::string& shard) = 0;

  // Only at the shard. Makes an unused database the shard; false if it already was, kFailedPrecondition if it is
  // anything else.
  virtual absl::StatusOr<bool> Adopt(const std::string& name, const std::string& home_id,
                                     const std::vector<std::string>& sinks, const Actor& actor) = 0;
  // Registers here an incarnation that home has numbered. False if it has ended here.
  virtual absl::StatusOr<bool> RegisterIncarnationAs(const Incarnation& incarnation) = 0;
};

}  // namespace tranche::storage
