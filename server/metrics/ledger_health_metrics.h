// What waits in the ledgers, who beats there, and how full they are: read now and then, and told at a scrape from
// memory.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/metrics/metric_set.h"
#include "server/process/periodic_task.h"
#include "storage/clock.h"
#include "storage/ledger/group_ledger.h"
#include "storage/ledger/health_ledger.h"

namespace tranche::server {

// Thread-safe. Every process that has this reads for itself, so one worker, or a few, are enough for a cluster.
class LedgerHealthMetrics : public MetricSource {
 public:
  // Bounded reads, some 10 ms each while much waits: see storage/ledger/health_ledger.h.
  static constexpr absl::Duration kReadEvery = absl::Seconds(10);

  // Reads one shard's ledger, on a thread of its own, until it is destroyed; then its metrics are gone.
  class Reader {
   public:
    Reader(LedgerHealthMetrics* metrics, std::string shard, storage::HealthLedger* ledger,
           storage::GroupLedger* groups);
    ~Reader();
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

   private:
    LedgerHealthMetrics* const metrics_;
    const std::string shard_;
    std::unique_ptr<PeriodicTask> task_;  // last: it uses the others
  };

  // Outlives this. Measures the age of the numbers.
  explicit LedgerHealthMetrics(storage::Clock* clock) : clock_(clock) {}

  // The reader is outlived by this and by the ledgers. The first look comes after kReadEvery.
  std::unique_ptr<Reader> Read(const std::string& shard, storage::HealthLedger* ledger, storage::GroupLedger* groups);

  // One look, as a reader does it. If the ledger does not answer, the last numbers stay, and get older.
  void Look(const std::string& shard, storage::HealthLedger& ledger, storage::GroupLedger& groups);
  void Forget(const std::string& shard);

  void Collect(MetricSet* metrics) override;

 private:
  struct Seen {
    absl::Time at;
    storage::LedgerHealth health;
    std::vector<storage::Heartbeat> heartbeats;
    std::optional<storage::GroupCounts> groups;  // unless the ledger does not count them
  };

  storage::Clock* const clock_;
  absl::Mutex mutex_;
  std::map<std::string, Seen> seen_ ABSL_GUARDED_BY(mutex_);  // by shard
};

}  // namespace tranche::server
