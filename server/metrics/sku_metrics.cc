#include "server/metrics/sku_metrics.h"

#include <algorithm>
#include <string>

namespace tranche::server {
namespace {

constexpr char kOtherSkus[] = "other";

// Those that nobody asks for are ordered, too, so that few SKUs are always the same ones.
bool Busier(const SkuFigures& a, const SkuFigures& b) {
  const double traffic_a = a.grants_per_s + a.refusals_per_s;
  const double traffic_b = b.grants_per_s + b.refusals_per_s;
  return traffic_a != traffic_b ? traffic_a > traffic_b : a.sku_id < b.sku_id;
}

void AddFigures(const SkuFigures& sku, MetricSet* metrics) {
  const MetricLabels labels = {{"sku", std::string(sku.sku_id)}};
  metrics->AddGauge("tranche_sku_grants_per_second", "Units that this node sells, in the last seconds.",
                    sku.grants_per_s, labels);
  metrics->AddGauge(
      "tranche_sku_refusals_per_second",
      "Units that buyers ask for and this node does not have, in the last seconds: refused, or waited for.",
      sku.refusals_per_s, labels);
  metrics->AddGauge("tranche_slice_free", "Units that this node may still sell; below zero while units are withdrawn.",
                    static_cast<double>(sku.free), labels);
  metrics->AddGauge("tranche_slice_allotted", "Units moved to this node, minus those moved away, as announced.",
                    static_cast<double>(sku.allotted), labels);
}

}  // namespace

void AddSkuMetrics(std::vector<SkuFigures> skus, size_t most, MetricSet* metrics) {
  most = std::min(most, skus.size());
  std::nth_element(skus.begin(), skus.begin() + static_cast<std::ptrdiff_t>(most), skus.end(), Busier);
  SkuFigures others{.sku_id = kOtherSkus};
  for (size_t i = 0; i < skus.size(); ++i) {
    const SkuFigures& sku = skus[i];
    if (i < most && sku.sku_id != kOtherSkus) {
      AddFigures(sku, metrics);
      continue;
    }
    others.grants_per_s += sku.grants_per_s;
    others.refusals_per_s += sku.refusals_per_s;
    others.free += sku.free;
    others.allotted += sku.allotted;
  }
  AddFigures(others, metrics);
  metrics->AddGauge("tranche_skus", "SKUs that this node knows: it holds units of them, or was asked for some.",
                    static_cast<double>(skus.size()));
}

}  // namespace tranche::server
