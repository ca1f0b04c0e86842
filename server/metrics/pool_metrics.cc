#include "server/metrics/pool_metrics.h"

namespace tranche::server {

void AddPoolUse(MetricSet* metrics, const std::string& shard, const std::string& pool, const storage::PoolUse& use) {
  const auto add = [&](const std::string& state, int connections) {
    metrics->AddGauge("tranche_connections", "Open connections to PostgreSQL.", connections,
                      {{"shard", shard}, {"pool", pool}, {"state", state}});
  };
  add("in_use", use.in_use);
  add("idle", use.open - use.in_use);
  metrics->AddGauge("tranche_connections_limit", "The most connections that the pool opens.", use.limit,
                    {{"shard", shard}, {"pool", pool}});
}

void AddLedgerUp(MetricSet* metrics, const std::string& shard, bool up) {
  metrics->AddGauge("tranche_ledger_up", "1 if the shard's database served this process when it was last used.", up,
                    {{"shard", shard}});
}

}  // namespace tranche::server
