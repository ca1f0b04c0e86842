// A node's SKUs as metrics, bounded in number: the busiest one by one, the others as one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/metrics/metric_set.h"

namespace tranche::server {

// What a node knows about one SKU, in units.
struct SkuFigures {
  absl::string_view sku_id;
  double grants_per_s = 0;
  double refusals_per_s = 0;
  int64_t free = 0;
  int64_t allotted = 0;
};

// Shows the `most` SKUs with the most traffic by their ids, and sums the others as "other"; a SKU of that id is one of
// these. What the ids refer to lives until this returns.
void AddSkuMetrics(std::vector<SkuFigures> skus, size_t most, MetricSet* metrics);

}  // namespace tranche::server
