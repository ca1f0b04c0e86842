#include "server/handlers/quota_preview.h"

#include <algorithm>
#include <map>

namespace tranche::server {

storage::QuotaSnapshot QuotaAfter(const storage::QuotaSnapshot& before, absl::Span<const storage::QuotaDelta> deltas) {
  if (deltas.empty()) return before;
  storage::QuotaSnapshot after = before;
  after.quota_version = before.quota_version + 1;
  std::map<storage::IncarnationId, storage::HeldSlice> slices;  // the pool, 0, first
  for (const storage::HeldSlice& slice : before.slices) slices[slice.holder] = slice;
  storage::HeldSlice& pool = slices[storage::kPool];

  const auto change = [&](storage::IncarnationId holder, int64_t units) {
    storage::HeldSlice& slice = slices[holder];
    slice.holder = holder;
    slice.allotted += units;
    slice.remaining += units;
    slice.version = after.quota_version;
    pool.allotted -= units;
    pool.remaining -= units;
  };
  for (const storage::QuotaDelta& delta : deltas) {
    const int64_t units = std::min(-delta.units, SliceOf(before, delta.holder).remaining);
    if (units > 0) change(delta.holder, -units);
  }
  for (const storage::QuotaDelta& delta : deltas) {
    const int64_t units = std::min(delta.units, pool.remaining);
    if (units > 0) change(delta.holder, units);
  }
  pool.version = after.quota_version;
  // The pool has no spent units.
  pool.allotted = pool.remaining;

  after.slices.clear();
  for (const auto& [_, slice] : slices) after.slices.push_back(slice);
  return after;
}

storage::HeldSlice SliceOf(const storage::QuotaSnapshot& quota, storage::IncarnationId holder) {
  for (const storage::HeldSlice& slice : quota.slices) {
    if (slice.holder == holder) return slice;
  }
  storage::HeldSlice none;
  none.holder = holder;
  return none;
}

}  // namespace tranche::server
