#include "server/consumer/consumer_metrics.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "storage/ledger/shard_name.h"

namespace tranche::server {
namespace {

void AddConsumer(const ConsumerPart& part, absl::Time now, MetricSet* metrics) {
  const MetricLabels labels = {{"shard", part.shard}};
  const auto add_claims = [&](absl::string_view outcome, int64_t count) {
    metrics->AddCounter("tranche_consumer_claims_total", "What became of claims that were taken out of queues.",
                        static_cast<double>(count), {{"shard", part.shard}, {"outcome", std::string(outcome)}});
  };
  const ConsumerCounts& counts = part.consumer->counts();
  counts.ForEach(add_claims);
  metrics->AddCounter("tranche_consumer_retries_total", "Tries of queued claims that came to nothing.",
                      static_cast<double>(counts.retried.value()), labels);
  metrics->AddGauge("tranche_consumer_held", "Claims that were taken out of queues and are not decided.",
                    static_cast<double>(part.consumer->held()), labels);
  const std::optional<absl::Time> oldest = part.consumer->oldest_held_since();
  metrics->AddGauge("tranche_consumer_oldest_held_seconds",
                    "Time since the oldest of them was taken that waits for no resume.",
                    oldest.has_value() ? std::max(0.0, absl::ToDoubleSeconds(now - *oldest)) : 0, labels);
  metrics->AddGauge("tranche_consumer_up", "1 while it is connected to all of the shard's queues.", part.up() ? 1 : 0,
                    labels);
}

}  // namespace

void ConsumerMetrics::Collect(MetricSet* metrics) {
  const absl::Time now = clock_->Now();
  parts_.ForEach([&](const ConsumerPart& part) { AddConsumer(part, now, metrics); });
}

absl::Status ConsumerMetrics::Ready() const {
  absl::Status ready = absl::UnavailableError("the consumer has not begun to take from home's queues");
  parts_.ForEach([&](const ConsumerPart& part) {
    if (part.shard != storage::kHomeShard) return;
    ready = part.up() ? absl::OkStatus() : absl::UnavailableError("the broker is not reached: see the log");
  });
  return ready;
}

}  // namespace tranche::server
