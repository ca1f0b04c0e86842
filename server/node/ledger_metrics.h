// A front node's metrics about its ledger, by shard: whether it answers, the pipelines, connections and threads.
#pragma once

#include "server/metrics/metric_set.h"
#include "server/node/node_ledger.h"

namespace tranche::server {

class LedgerMetrics final : public MetricSource {
 public:
  // Not used after the ledger's StopExecutors.
  explicit LedgerMetrics(NodeLedger* ledger) : ledger_(ledger) {}

  void Collect(MetricSet* metrics) override;

 private:
  NodeLedger* const ledger_;
};

// Calls that wait for a thread of this executor; `shard` is "" for one of the node.
void AddExecutorQueue(const char* executor, const std::string& shard, size_t queued, MetricSet* metrics);

}  // namespace tranche::server
