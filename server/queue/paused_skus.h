// Which claims a consumer keeps for SKUs that an operator has paused, until they are resumed. Kept are only so many of
// a SKU, and of a queue, so that those of other SKUs in the same queue find room.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "server/queue/held_claims.h"

namespace tranche::server {

// Nodes and consumers hear of a resume one after the other. Who is refused within this time might have been served.
inline constexpr absl::Duration kHearsOfResume = absl::Seconds(5);

// Not thread-safe.
class PausedSkus {
 public:
  // `prefetch`: of each queue.
  explicit PausedSkus(int prefetch)
      : most_of_sku_(static_cast<size_t>(std::max(1, prefetch / 4))),
        most_of_queue_(static_cast<size_t>(std::max(1, prefetch / 2))) {}

  // `held` was just refused because `sku_id` is paused. Is it to be tried again? Its place is its own until Leave.
  bool Keep(HeldClaim& held, const std::string& sku_id, absl::Time now) {
    if (held.kept_for == sku_id) return true;
    Leave(held);
    if (!skus_.contains(sku_id)) ForgetUnused(now);
    Sku& sku = skus_.try_emplace(sku_id, Sku{.since = now}).first->second;
    sku.asked = now;
    size_t& of_queue = kept_[held.queue];
    if (sku.kept < most_of_sku_ && of_queue < most_of_queue_) {
      ++sku.kept;
      ++of_queue;
      held.kept_for = sku_id;
      return true;
    }
    // A node that has queued it later took the SKU for resumed.
    const absl::Time from = held.claim.enqueued_at < sku.since ? sku.since : std::max(sku.since, held.since);
    return now - from < kHearsOfResume;
  }

  // It is not here any more, or was told something else.
  void Leave(HeldClaim& held) {
    if (held.kept_for.empty()) return;
    const auto sku = skus_.find(held.kept_for);
    held.kept_for.clear();
    --kept_[held.queue];
    if (sku != skus_.end() && --sku->second.kept == 0) skus_.erase(sku);
  }

 private:
  struct Sku {
    absl::Time since = {};  // its first claim was refused
    absl::Time asked = {};  // its last one
    size_t kept = 0;
  };

  // Those that have no claim here any more: one that is tried again is so within this time.
  void ForgetUnused(absl::Time now) {
    absl::erase_if(
        skus_, [now](const auto& each) { return each.second.kept == 0 && now - each.second.asked > kHearsOfResume; });
  }

  const size_t most_of_sku_;
  const size_t most_of_queue_;
  absl::flat_hash_map<std::string, Sku> skus_;
  absl::flat_hash_map<std::string, size_t> kept_;  // by queue
};

}  // namespace tranche::server
