// What /metrics and /readyz say of a worker process.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/metrics/metric_set.h"
#include "server/metrics/shard_parts.h"
#include "server/worker/drawer.h"
#include "server/worker/expirer.h"
#include "server/worker/group_expirer.h"
#include "server/worker/group_retirer.h"
#include "server/worker/retirer.h"
#include "server/worker/sink_relay.h"
#include "storage/clock.h"

namespace tranche::server {

// What works for one shard.
struct WorkerPart {
  std::string shard;
  const Expirer* expirer;                       // null: none
  const GroupExpirer* group_expirer = nullptr;  // null: none
  const Retirer* retirer;                       // null: none
  const GroupRetirer* group_retirer = nullptr;  // null: none
  const Drawer* drawer = nullptr;               // null: none
  std::vector<const SinkRelay*> relays;
  // Has the ledger served this process when it was last used? Must not wait for it.
  std::function<bool()> ledger_up;
  absl::Time began = absl::InfinitePast();  // set by Join
};

// Thread-safe.
class WorkerMetrics : public MetricSource {
 public:
  using Membership = ShardParts<WorkerPart>::Membership;

  explicit WorkerMetrics(const storage::Clock* clock) : clock_(clock) {}

  // The part is told of as long as the returned object lives.
  std::unique_ptr<Membership> Join(WorkerPart part);

  void Collect(MetricSet* metrics) override;

  // OK: holds expire at home, or, if this worker expires none, home's database has served it when it was last used.
  // Other shards may be down: that delays only their own SKUs. A sink that is down is no trouble of the worker's.
  absl::Status Ready() const;
  // From now on it is not ready: the process ends.
  void NoteStopping() { stopping_ = true; }

 private:
  const storage::Clock* const clock_;
  std::atomic<bool> stopping_ = false;
  ShardParts<WorkerPart> parts_;
};

}  // namespace tranche::server
