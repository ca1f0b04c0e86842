// What /metrics and /readyz say of a balancer process.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "quota/balancer/balancer.h"
#include "server/metrics/metric_set.h"
#include "server/metrics/shard_parts.h"
#include "storage/clock.h"

namespace tranche::server {

// What balances one shard.
struct BalancerPart {
  std::string shard;
  const quota::Balancer* balancer;
  absl::Time began = absl::InfinitePast();  // set by Join
};

// Thread-safe.
class BalancerMetrics : public MetricSource {
 public:
  using Membership = ShardParts<BalancerPart>::Membership;

  explicit BalancerMetrics(const storage::Clock* clock) : clock_(clock) {}

  // The part is told of as long as the returned object lives.
  std::unique_ptr<Membership> Join(BalancerPart part);

  void Collect(MetricSet* metrics) override;

  // OK: home's balancer has its session with ZooKeeper, and its rounds succeed, whether it leads or stands by. Other
  // shards may be down: that delays only their own SKUs.
  absl::Status Ready() const;

 private:
  const storage::Clock* const clock_;
  ShardParts<BalancerPart> parts_;
};

}  // namespace tranche::server
