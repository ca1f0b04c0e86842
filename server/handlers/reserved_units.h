// How a SKU's reserved units divide into pending, confirmed and overdue ones.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/ledger/health_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

// The unpaid holds of these SKUs at this shard.
using CountHoldsAt = std::function<absl::StatusOr<std::vector<storage::SkuHolds>>(
    const std::string& shard, absl::Span<const std::string> sku_ids)>;

// Fills in the three fields of SKUs that are complete otherwise. Where a shard does not say, or has too many holds to
// count, they stay absent. `count` is called once for each shard.
void AddHolds(const CountHoldsAt& count, absl::Span<v1::Sku* const> skus);

}  // namespace tranche::server
