// The terms of a SKU's sale, as far as a node must know them to refuse early. The ledger decides again at every commit.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "absl/time/time.h"
#include "storage/ledger/shard_name.h"
#include "storage/ledger/sku_ledger.h"

namespace tranche::quota {

struct SkuTerms {
  static constexpr int64_t kPlenty = std::numeric_limits<int64_t>::max();

  int32_t per_user_limit = 1;
  absl::Time opens_at = absl::InfinitePast();
  absl::Time closes_at = absl::InfiniteFuture();
  bool closed = false;
  bool paused = false;
  std::string pause_reason = {};  // for buyers
  // No more units than this were unsold anywhere when the terms were read. Exact if it is less than a buyer may ask
  // for.
  int64_t at_most = kPlenty;
  bool holds_may_lapse = false;
  // The shard that its claims go to. A wrong one costs a try: the ledger there knows that the SKU is not, or no longer,
  // there.
  std::string shard = storage::kHomeShard;
  // When the look-up of them began, or their announcement was applied.
  absl::Time read_at = absl::InfinitePast();
  // Was the shard announced? A look-up finds a SKU also at a shard with an older copy of it, which must not be sold
  // (storage/shards/older_copies.h).
  bool announced = false;
  int64_t version = 0;  // of the announcement
  storage::ClaimPath claim_path = storage::ClaimPath::kDirect;

  bool sold_out() const { return at_most == 0; }
};

inline SkuTerms TermsOf(const storage::Sku& sku) {
  return SkuTerms{.per_user_limit = sku.per_user_limit,
                  .opens_at = sku.opens_at,
                  .closes_at = sku.closes_at,
                  .closed = sku.closed,
                  .paused = sku.paused,
                  .pause_reason = sku.pause_reason,
                  .at_most = storage::IsScarce(sku) ? sku.unsold : SkuTerms::kPlenty,
                  .holds_may_lapse = sku.holds_may_lapse,
                  .shard = sku.shard,
                  .claim_path = sku.claim_path};
}

}  // namespace tranche::quota
