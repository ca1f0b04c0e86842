// The metrics of a pool of connections to a shard's database.
#pragma once

#include <string>

#include "server/metrics/metric_set.h"
#include "storage/postgres/connection_pool.h"

namespace tranche::server {

// `pool`: what its connections are for.
void AddPoolUse(MetricSet* metrics, const std::string& shard, const std::string& pool, const storage::PoolUse& use);

void AddLedgerUp(MetricSet* metrics, const std::string& shard, bool up);

}  // namespace tranche::server
