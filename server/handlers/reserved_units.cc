#include "server/handlers/reserved_units.h"

#include <algorithm>
#include <map>
#include <vector>

namespace tranche::server {

void AddHolds(const CountHoldsAt& count, absl::Span<v1::Sku* const> skus) {
  std::map<std::string, std::vector<std::string>> ids_by_shard;
  std::map<std::string, v1::Sku*> by_id;
  for (v1::Sku* sku : skus) {
    ids_by_shard[sku->shard()].push_back(sku->sku_id());
    by_id[sku->sku_id()] = sku;
  }
  for (const auto& [shard, ids] : ids_by_shard) {
    const absl::StatusOr<std::vector<storage::SkuHolds>> counted = count(shard, ids);
    if (!counted.ok()) continue;
    for (const storage::SkuHolds& holds : *counted) {
      const auto sku = by_id.find(holds.sku_id);
      if (sku == by_id.end() || holds.more) continue;
      // They were counted after the SKU was read: some may have come since.
      const int64_t pending = std::min(holds.pending, sku->second->reserved());
      sku->second->set_pending(pending);
      sku->second->set_confirmed(sku->second->reserved() - pending);
      sku->second->set_overdue(std::min(holds.overdue, pending));
    }
  }
}

}  // namespace tranche::server
