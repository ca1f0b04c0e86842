// The metrics of a process's pools of connections, one pool for each shard's database.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "server/metrics/metric_set.h"
#include "server/metrics/shard_parts.h"
#include "storage/postgres/connection_pool.h"

namespace tranche::server {

struct PoolPart {
  std::string shard;
  const storage::ConnectionPool* pool;
};

// Thread-safe.
class PoolMetrics : public MetricSource {
 public:
  using Membership = ShardParts<PoolPart>::Membership;

  // `name`: what the connections are for, in a word.
  explicit PoolMetrics(std::string name) : name_(std::move(name)) {}

  // The pool is told of as long as the returned object lives.
  std::unique_ptr<Membership> Join(PoolPart part) { return std::make_unique<Membership>(&parts_, std::move(part)); }

  void Collect(MetricSet* metrics) override;

 private:
  const std::string name_;
  ShardParts<PoolPart> parts_;
};

}  // namespace tranche::server
