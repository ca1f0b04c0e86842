// How far this machine's clock is ahead of that of each shard's database, as last compared.
#pragma once

#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/metrics/metric_set.h"

namespace tranche::server {

// Thread-safe. A shard that was not compared yet is not shown.
class ClockOffsets final : public MetricSource {
 public:
  // `ahead` as ClockAhead says it.
  void Note(const std::string& shard, absl::Duration ahead);
  void Collect(MetricSet* metrics) override;

 private:
  absl::Mutex mutex_;
  std::map<std::string, absl::Duration> ahead_ ABSL_GUARDED_BY(mutex_);  // by shard
};

}  // namespace tranche::server
