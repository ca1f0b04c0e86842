// Which part of those who wait in a room gives up each second.
#pragma once

#include <cstdint>
#include <deque>

#include "absl/time/time.h"
#include "server/admission/room_counts.h"

namespace tranche::server {

// Used by one thread. `elapsed` is a time that never goes back.
class LeavingGauge {
 public:
  // `waiting`: those above `threshold` wait. Nobody joins any more with a rank below `frontier`: so what has become of
  // them since an interval ago, and was not passed, has left.
  void Look(absl::Duration elapsed, uint64_t threshold, uint64_t frontier, const RoomCounts& waiting,
            absl::Duration interval);
  // What was seen does not belong to what comes.
  void Forget() { snapshots_.clear(); }

  double per_s() const { return per_s_; }

 private:
  struct Snapshot {
    absl::Duration at;
    uint64_t frontier = 0;
    RoomCounts waiting;
  };
  static constexpr int kSnapshotsPerInterval = 4;

  std::deque<Snapshot> snapshots_;  // at most kSnapshotsPerInterval + 1
  bool known_ = false;
  double per_s_ = 0;
};

}  // namespace tranche::server
