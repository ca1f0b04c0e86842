// Which shards there are, and what a ledger has to do because there are several.
//
// A shard is one database with SKUs of its own. The home shard knows the others and numbers the incarnations, which are
// the same on every shard.
//
// Threads, blocking and errors are those of every ledger: storage/ledger/README.md.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/ledger/incarnation_ledger.h"
#include "storage/ledger/shard_name.h"

namespace tranche::storage {

struct Shard {
  std::string name;
  std::string dsn;  // without a password
  absl::Time added_at;
};

// Which shard a database is.
struct ShardIdentity {
  std::string ledger_id;  // of the database; a UUID
  std::string name;       // kHomeShard as long as nobody has added it
  std::string home_id;    // its home's ledger_id; "" at home
  bool used = false;      // it has SKUs, incarnations or shards
};

class ShardLedger {
 public:
  virtual ~ShardLedger() = default;

  virtual absl::StatusOr<ShardIdentity> Identity() = 0;

  // At home. By name.
  virtual absl::StatusOr<std::vector<Shard>> ListShards() = 0;
  // With another DSN than before: the shard has moved house. False if nothing changed.
  virtual absl::StatusOr<bool> AddShard(const std::string& name, const std::string& dsn, const std::string& actor) = 0;
  // Notes that `shard` has a SKU of this id, or is about to. kAlreadyExists if another shard has one.
  virtual absl::Status ReserveSku(const std::string& sku_id, const std::string& shard) = 0;

  // At the shard. Makes an unused database the shard; false if it was it before, kFailedPrecondition if it is anything
  // else.
  virtual absl::StatusOr<bool> Adopt(const std::string& name, const std::string& home_id,
                                     const std::vector<std::string>& sinks, const std::string& actor) = 0;
  // Makes an incarnation that home has numbered known here. False if it has ended here.
  virtual absl::StatusOr<bool> RegisterIncarnationAs(const Incarnation& incarnation) = 0;
};

}  // namespace tranche::storage
