// The SKUs: what is sold, on which terms, and how much of it may ever be sold.
//
// Threads, blocking and errors are those of every ledger: storage/ledger/README.md.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/ledger/actor.h"
#include "storage/ledger/shard_name.h"

namespace tranche::storage {

// How claims come to the ledger (docs/decisions/0021-queue.md). Nodes go by it; no ledger does.
enum class ClaimPath { kDirect, kQueue, kAuto };

// As the schema and the audit log have it: "DIRECT", "QUEUE", "AUTO".
inline const char* ClaimPathName(ClaimPath path) {
  switch (path) {
    case ClaimPath::kQueue:
      return "QUEUE";
    case ClaimPath::kAuto:
      return "AUTO";
    case ClaimPath::kDirect:
      break;
  }
  return "DIRECT";
}

struct Sku {
  std::string sku_id;
  std::string title;
  int64_t price_minor = 0;
  std::string currency;
  int64_t stock = 0;
  int32_t per_user_limit = 1;
  absl::Duration hold = absl::Minutes(15);
  int32_t max_extensions = 3;
  // The longest time from a hold's creation to its end, extensions included. Zero: `hold` for the hold and for each
  // extension.
  absl::Duration max_hold = {};
  absl::Time opens_at = absl::InfinitePast();
  absl::Time closes_at = absl::InfiniteFuture();
  bool closed = false;
  // Nothing is sold of it until it is resumed; `pause_reason` is told to buyers, "" for none. CreateSku may begin so.
  bool paused = false;
  std::string pause_reason = {};
  ClaimPath claim_path = ClaimPath::kDirect;
  int32_t slots_per_slice = 1;
  // Split over all live nodes before anybody asks. Otherwise the units wait in the pool until a node's first request
  // makes demand: for a long tail of SKUs, which would otherwise need a slot row and a znode per node and SKU.
  bool presplit = true;
  // The balancer leaves the units where they are. Units of a dead node still go to the pool, and stay there.
  bool quota_frozen = false;
  // The shard that it was read from; ignored by CreateSku.
  std::string shard = kHomeShard;
  // Read from the slots and, for `holds_may_lapse`, the reservations; ignored by CreateSku.
  int64_t unsold = 0;
  int64_t quota_version = 0;
  // Grows with every change of its terms: update, pause, resume, close, reopen.
  int64_t terms_version = 0;
  bool holds_may_lapse = false;
};

// The most characters of a pause's reason.
inline constexpr int kMaxPauseReason = 200;

// Fewer unsold units than this are scarce: a claim may ask for more than there are, so their number is announced. The
// bound keeps a SKU with a high limit from changing its version with every returned unit (return_units.sql has it,
// too).
inline int64_t ScarceBelow(int32_t per_user_limit) { return std::min<int64_t>(per_user_limit, 16); }
inline bool IsScarce(const Sku& sku) { return sku.unsold < ScarceBelow(sku.per_user_limit); }

struct ReducedStock {
  Sku sku;
  int64_t units_taken = 0;
};

class SkuLedger {
 public:
  virtual ~SkuLedger() = default;

  // `actor` is written into the audit log with the state before and after.
  virtual absl::StatusOr<Sku> CreateSku(const Sku& sku, const Actor& actor) = 0;
  virtual absl::StatusOr<Sku> GetSku(const std::string& sku_id) = 0;
  // Ascending by id, those after `after` ("" = from the start), at most `limit`.
  virtual absl::StatusOr<std::vector<Sku>> ListSkus(const std::string& after, int limit) = 0;
  // Ends the sale until it is reopened. Slices stay as they are. Repeating it changes and audits nothing; so it is with
  // the next two.
  virtual absl::StatusOr<Sku> CloseSku(const std::string& sku_id, const Actor& actor) = 0;
  virtual absl::StatusOr<Sku> ReopenSku(const std::string& sku_id, const Actor& actor) = 0;
  // Pauses or resumes the sale. Once a pause has returned, no claim is booked, not even one that was under way; what
  // was reserved goes on, and units move on. `reason` as in Sku; it is ignored when resuming. With
  // `expected_terms_version`, kAborted when the terms have another version and something would change.
  virtual absl::StatusOr<Sku> SetSkuPaused(const std::string& sku_id, bool paused, const std::string& reason,
                                           std::optional<int64_t> expected_terms_version, const Actor& actor) = 0;
  // Gives the SKU the title, price, limit, hold, extensions, window, presplit and claim path of `sku`, for claims that
  // are booked from then on. kAborted if its terms have another version than sku.terms_version, and are not these
  // already: so it can be repeated. Other fields are ignored.
  virtual absl::StatusOr<Sku> UpdateSku(const Sku& sku, const Actor& actor) = 0;
  // Adds units to the pool. With `expected_stock`, kAborted when the SKU's stock differs. Only operators change the
  // stock, so this detects a concurrent change, and makes a call whose answer was lost safe to repeat.
  virtual absl::StatusOr<Sku> AddStock(const std::string& sku_id, int64_t units, std::optional<int64_t> expected_stock,
                                       const Actor& actor) = 0;
  // Removes up to `units` unsold units: from the pool, then from the slices with the most. `expected_stock` as above.
  virtual absl::StatusOr<ReducedStock> ReduceStock(const std::string& sku_id, int64_t units,
                                                   std::optional<int64_t> expected_stock, const Actor& actor) = 0;
};

}  // namespace tranche::storage
