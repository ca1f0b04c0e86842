#include "server/node/clock_offsets.h"

namespace tranche::server {

void ClockOffsets::Note(const std::string& shard, absl::Duration ahead) {
  absl::MutexLock lock(&mutex_);
  ahead_[shard] = ahead;
}

void ClockOffsets::Collect(MetricSet* metrics) {
  absl::MutexLock lock(&mutex_);
  for (const auto& [shard, ahead] : ahead_) {
    metrics->AddGauge("tranche_clock_offset_seconds",
                      "How far this machine's clock is ahead of that of the shard's database, at least.",
                      absl::ToDoubleSeconds(ahead), {{"shard", shard}});
  }
}

}  // namespace tranche::server
