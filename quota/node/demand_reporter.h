// What a node writes to /demand/<incarnation>, and when: at once when it runs dry, otherwise from time to time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "quota/slices/slice_table.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::quota {

struct DemandReporterOptions {
  // Rates are measured over this long, and reported this often while there is activity.
  absl::Duration interval = absl::Seconds(1);
  // Without activity: a sign of life, for readers who check the report's age.
  absl::Duration heartbeat = absl::Seconds(10);
  // An empty slice that was never announced is forgotten after this long without a request.
  absl::Duration forget_after = absl::Seconds(30);
};

// What is known about one SKU's traffic.
struct SkuTraffic {
  int64_t granted = 0;  // as last counted
  int64_t denied = 0;
  int64_t refused = 0;
  int64_t diverted = 0;
  double grants_per_s = 0;  // units, smoothed
  double denials_per_s = 0;
  double refused_per_s = 0;
  absl::Time last_request = absl::InfinitePast();
};
using TrafficBySku = absl::flat_hash_map<std::string, SkuTraffic>;

// No I/O. Used by one thread, except for traffic().
class DemandReporter {
 public:
  // How many requests wait for units of a SKU.
  using WaitingCount = std::function<int64_t(const std::string& sku_id)>;

  DemandReporter(SliceTable* slices, WaitingCount waiting, DemandReporterOptions options = {})
      : slices_(slices), waiting_(std::move(waiting)), options_(options) {}

  // The report that is due now, or none.
  // `silent_shards`: the shards besides home whose ledgers do not answer. `unhealthy`: as NodeHost::WhyUnhealthy;
  // `faulty_files`: as NodeHost::FaultyFiles.
  std::optional<internal::v1::DemandReport> Due(absl::Time now, bool ledger_answers,
                                                const std::vector<std::string>& silent_shards = {},
                                                const std::string& unhealthy = "",
                                                const std::vector<std::string>& faulty_files = {});
  // The report was written. Until this is called, it stays due.
  void Written(const internal::v1::DemandReport& report, absl::Time now);
  // A new incarnation: starts over, and the first report is due at once.
  void Reset();
  // The written report was lost: the next report is due at once.
  void Repeat();

  // As measured last. Any thread may ask.
  std::shared_ptr<const TrafficBySku> traffic() const {
    absl::MutexLock lock(&mutex_);
    return traffic_;
  }

 private:
  void SetTraffic(TrafficBySku traffic);
  void Measure(absl::Time now);
  internal::v1::DemandReport Compose(bool ledger_answers) const;

  SliceTable* const slices_;
  const WaitingCount waiting_;
  const DemandReporterOptions options_;
  mutable absl::Mutex mutex_;
  std::shared_ptr<const TrafficBySku> traffic_ ABSL_GUARDED_BY(mutex_) = std::make_shared<const TrafficBySku>();
  absl::Time measured_at_ = absl::InfinitePast();
  absl::Time written_at_ = absl::InfinitePast();
  std::string urgent_written_;
  std::string content_written_;
  int64_t sequence_ = 0;
};

}  // namespace tranche::quota
