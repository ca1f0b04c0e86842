// What one shard knows about where SKUs are. Each shard answers for itself; home knows every id.
//
// Threads, blocking and errors are those of every ledger: storage/ledger/README.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace tranche::storage {

struct SkuWhereabouts {
  // kNowhere: this shard has never had it.
  enum class Place { kNowhere, kHere, kLeaving, kGone, kArriving };
  Place place = Place::kNowhere;
  std::string other_shard;  // set unless kNowhere or kHere
  std::string token;        // of the latest attempt to move it, perhaps abandoned; "" if there is none
  bool leftovers = false;   // of kGone: its rows are still here
  // Of its row here. A SKU that arrives has a higher version than it had at any shard before.
  int64_t version = 0;
  // Of kGone: only the id was noted, since a SKU was to be created at the other shard, which may have failed.
  bool only_reserved = false;
  // How many had brought it here; of kArriving, to the shard that it comes from. Of two shards that have it, the one
  // with more has the newer copy.
  int64_t moves = 0;
};

struct ListedWhereabouts {
  std::string sku_id;
  SkuWhereabouts where;
};

class WhereaboutsLedger {
 public:
  virtual ~WhereaboutsLedger() = default;

  virtual absl::StatusOr<SkuWhereabouts> Where(const std::string& sku_id) = 0;
  // Ascending by id, those after `after` ("" = from the start), at most `limit`. Without token and leftovers.
  virtual absl::StatusOr<std::vector<ListedWhereabouts>> ListWhereabouts(const std::string& after, int limit) = 0;
};

}  // namespace tranche::storage
