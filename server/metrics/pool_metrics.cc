#include "server/metrics/pool_metrics.h"

namespace tranche::server {

void PoolMetrics::Collect(MetricSet* metrics) {
  parts_.ForEach([&](const PoolPart& part) {
    const storage::PoolUse use = part.pool->use();
    const auto add = [&](const char* state, int connections) {
      metrics->AddGauge("tranche_connections", "Connections to PostgreSQL.", connections,
                        {{"shard", part.shard}, {"pool", name_}, {"state", state}});
    };
    add("used", use.in_use);
    add("idle", use.open - use.in_use);
    metrics->AddGauge("tranche_connections_limit", "Connections that this pool may have.", use.limit,
                      {{"shard", part.shard}, {"pool", name_}});
    metrics->AddGauge("tranche_ledger_up", "1 if the shard's ledger has served this process when it was last used.",
                      part.pool->reached(), {{"shard", part.shard}});
  });
}

}  // namespace tranche::server
