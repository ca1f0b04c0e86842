// What /metrics and /readyz say of a consumer, besides what it shows as every process that holds slices.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "server/metrics/metric_set.h"
#include "server/metrics/shard_parts.h"
#include "server/queue/claim_consumer.h"
#include "storage/clock.h"

namespace tranche::server {

// What takes from one shard's queues.
struct ConsumerPart {
  std::string shard;
  const ClaimConsumer* consumer = nullptr;
  // Is it connected to all of them?
  std::function<bool()> up = {};
};

// Thread-safe.
class ConsumerMetrics : public MetricSource {
 public:
  using Membership = ShardParts<ConsumerPart>::Membership;

  explicit ConsumerMetrics(const storage::Clock* clock) : clock_(clock) {}

  // The part is told of as long as the returned object lives.
  std::unique_ptr<Membership> Join(ConsumerPart part) { return std::make_unique<Membership>(&parts_, std::move(part)); }

  void Collect(MetricSet* metrics) override;

  // OK: it is connected to home's queues. Other shards may have none yet, and do not count.
  absl::Status Ready() const;

 private:
  const storage::Clock* const clock_;
  ShardParts<ConsumerPart> parts_;
};

}  // namespace tranche::server
