// Which joins a consumer keeps although their group is not there, while another consumer may be about to open it. Kept
// are only so many of a SKU, and of a queue, so that other claims in the same queue find room.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "server/queue/held_claims.h"

namespace tranche::server {

// Not thread-safe.
class JoinPlaces {
 public:
  // `prefetch`: of each queue.
  explicit JoinPlaces(int prefetch)
      : most_of_sku_(static_cast<size_t>(std::max(1, prefetch / 8))),
        most_of_queue_(static_cast<size_t>(std::max(1, prefetch / 4))) {}

  // `held` joins a group that was not there. Has it a place? That is its own until Leave.
  bool Keep(HeldClaim& held) {
    if (held.has_join_place) return true;
    size_t& of_queue = of_queue_[held.queue];
    const auto sku = of_sku_.find(SkuOf(held));
    const size_t kept = sku == of_sku_.end() ? 0 : sku->second;
    if (kept >= most_of_sku_ || of_queue >= most_of_queue_) return false;
    ++of_queue;
    ++of_sku_[SkuOf(held)];
    held.has_join_place = true;
    return true;
  }

  // It is not here any more, or was told something else.
  void Leave(HeldClaim& held) {
    if (!held.has_join_place) return;
    held.has_join_place = false;
    --of_queue_[held.queue];
    const auto sku = of_sku_.find(SkuOf(held));
    if (sku != of_sku_.end() && --sku->second == 0) of_sku_.erase(sku);
  }

 private:
  // A join has no other line.
  static const std::string& SkuOf(const HeldClaim& held) { return held.claim.lines.front().sku_id; }

  const size_t most_of_sku_;
  const size_t most_of_queue_;
  absl::flat_hash_map<std::string, size_t> of_sku_;
  absl::flat_hash_map<std::string, size_t> of_queue_;
};

}  // namespace tranche::server
