// A front node's metrics about its front door: whom it refuses and lets wait, and whether it is up to date.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"
#include "server/admission/front_door.h"
#include "server/metrics/metric_set.h"
#include "server/node/node_door.h"
#include "server/outbound/hook_counts.h"

namespace tranche::server {

// What the door is, for its metrics: NodeDoor, or a test's.
struct DoorFigures {
  const FrontDoor* door = nullptr;
  absl::Duration age;
  uint64_t failed_looks = 0;
  size_t waiting = 0;
  // How it went with those who are asked outside; null: nobody is.
  const HookCounts* scorer = nullptr;
  const HookCounts* captcha = nullptr;
};

// While nobody can be kept out, only the age and the service mode are added.
void AddDoorMetrics(const DoorFigures& figures, absl::Time now, MetricSet* metrics);

class DoorMetrics final : public MetricSource {
 public:
  // Not used after the door's StopThreads.
  explicit DoorMetrics(const NodeDoor* door) : door_(door) {}

  void Collect(MetricSet* metrics) override;

 private:
  const NodeDoor* const door_;
};

}  // namespace tranche::server
