// What /metrics says of the waiting rooms that a balancer process keeps.
#pragma once

#include "server/balancer/room_keeper.h"
#include "server/metrics/metric_set.h"

namespace tranche::server {

// Thread-safe. Nothing while the process does not lead home.
class RoomMetrics : public MetricSource {
 public:
  // `keeper` outlives it.
  explicit RoomMetrics(const RoomKeeper* keeper) : keeper_(keeper) {}

  void Collect(MetricSet* metrics) override;

 private:
  const RoomKeeper* const keeper_;
};

}  // namespace tranche::server
