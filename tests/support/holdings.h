// Short ways to write who holds what of a SKU, for tests of the arithmetic that plans moves.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "gtest/gtest.h"
#include "storage/ledger/quota_ledger.h"

namespace tranche::testing {

// What is left of one SKU, by holder.
using Holdings = std::map<storage::IncarnationId, int64_t>;

// In the ledger's form: there is a pool, even if it is empty.
inline storage::QuotaSnapshot QuotaOf(const Holdings& remaining) {
  storage::QuotaSnapshot quota{.sku_id = "tv", .quota_version = 1, .closed = false, .slices = {}};
  if (!remaining.contains(storage::kPool)) quota.slices.push_back(storage::HeldSlice{storage::kPool, 0, 0, 1});
  for (const auto& [holder, units] : remaining) quota.slices.push_back(storage::HeldSlice{holder, units, units, 1});
  return quota;
}

// As the ledger makes the move: withdrawals first, each at most what is there; then deposits out of the pool.
inline Holdings After(Holdings remaining, const std::vector<storage::QuotaDelta>& deltas) {
  for (const storage::QuotaDelta& delta : deltas) {
    if (delta.units >= 0) continue;
    EXPECT_LE(-delta.units, remaining[delta.holder]) << "more is withdrawn than is there";
    remaining[delta.holder] += delta.units;
    remaining[storage::kPool] -= delta.units;
  }
  for (const storage::QuotaDelta& delta : deltas) {
    if (delta.units <= 0) continue;
    remaining[delta.holder] += delta.units;
    remaining[storage::kPool] -= delta.units;
  }
  EXPECT_GE(remaining[storage::kPool], 0) << "more is given than the pool has";
  return remaining;
}

}  // namespace tranche::testing
