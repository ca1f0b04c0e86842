// What balancing one shard needs.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "quota/balancer/balancer.h"
#include "quota/balancer/balancer_options.h"
#include "quota/coordination/coordination.h"
#include "server/balancer/balancer_metrics.h"
#include "server/metrics/pool_metrics.h"
#include "server/process/heartbeat_sender.h"
#include "server/process/options.h"
#include "server/process/shard_witnesses.h"
#include "storage/ledger/shard_ledger.h"
#include "storage/postgres/connection_limits.h"
#include "storage/postgres/connection_pool.h"
#include "storage/postgres/postgres_health_ledger.h"
#include "storage/postgres/postgres_ledger.h"
#include "storage/postgres/postgres_sku_move_ledger.h"

namespace tranche::server {

// Of one shard's server: for rounds, for heartbeats, and for waiting rooms, so that none of them waits for another. One
// connection is enough to work.
inline constexpr storage::ConnectionNeeds kBalancerConnections = {.most = 3, .least = 1};

// How a balancer connects to home; with another DSN, to another shard.
storage::PoolOptions BalancerPoolOptions(const BackendOptions& backends);

class ShardBalancer {
 public:
  // What all balancers of a process share; outlives them.
  struct Shared {
    BackendOptions backends;
    HeartbeatSender::Process process;
    quota::CoordinationConnector* connector;
    ShardWitnesses* witnesses;
    BalancerMetrics* metrics;
    PoolMetrics* pools;
  };

  // Connects to nothing yet. `options`: without what depends on the shard.
  ShardBalancer(const Shared& shared, const storage::Shard& shard, quota::BalancerOptions options);

  ~ShardBalancer() { Stop(); }
  ShardBalancer(const ShardBalancer&) = delete;
  ShardBalancer& operator=(const ShardBalancer&) = delete;

  // Fails if ZooKeeper does not answer.
  absl::Status Start();
  void Stop();

  storage::ConnectionPool& pool() { return pool_; }
  storage::PostgresStockLedger& ledger() { return ledger_; }
  quota::Balancer& balancer() { return balancer_; }

 private:
  storage::ConnectionPool pool_;
  storage::PostgresStockLedger ledger_;
  storage::PostgresSkuMoveLedger moves_;
  storage::PostgresHealthLedger health_;
  quota::Balancer balancer_;
  const HeartbeatSender::Process process_;
  // Last: they use the others, and so do scrapes through them.
  std::optional<HeartbeatSender> heartbeats_;
  const std::unique_ptr<PoolMetrics::Membership> pool_shown_;
  const std::unique_ptr<BalancerMetrics::Membership> balancer_shown_;
};

}  // namespace tranche::server
