// A front node's metrics about what it sells: requests by outcome, SKUs, pools, and who waits for units.
#pragma once

#include <cstddef>
#include <functional>

#include "quota/node/node_agent.h"
#include "quota/slices/slice_table.h"
#include "server/metrics/metric_set.h"
#include "server/node/buyer_calls.h"
#include "server/node/node_sale.h"

namespace tranche::server {

class SaleMetrics final : public MetricSource {
 public:
  // Null until the node has one, which lives as long as this.
  using AgentOf = std::function<quota::NodeAgent*()>;

  // `skus`: how many are shown one by one.
  SaleMetrics(const quota::SliceTable* slices, const NodeSale* sale, const BuyerCalls* calls, AgentOf agent,
              size_t skus)
      : slices_(slices), sale_(sale), calls_(calls), agent_(std::move(agent)), skus_(skus) {}

  void Collect(MetricSet* metrics) override;

 private:
  void AddSkus(MetricSet* metrics) const;

  const quota::SliceTable* const slices_;
  const NodeSale* const sale_;
  const BuyerCalls* const calls_;
  const AgentOf agent_;
  const size_t skus_;
};

}  // namespace tranche::server
