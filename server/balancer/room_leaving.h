// What part of those who wait in a room gives up.
#pragma once

#include <cstdint>
#include <deque>

#include "server/admission/room_counts.h"

namespace tranche::server {

// Used by one thread. Seconds are those since any fixed moment, and never less than at the call before. About 30 KiB.
class RoomLeaving {
 public:
  // `per_s`: as found when this process began to lead; 0 if nothing was.
  explicit RoomLeaving(double per_s);

  // `waiting`: who waits, with ranks from `threshold` on. Whoever has joined with a rank below `frontier` is counted.
  // It measures by those between the two: nobody joins there any more, so that there are fewer only as they leave.
  void Look(double at_s, double window_s, const RoomCounts& waiting, uint64_t threshold, uint64_t frontier);
  // Buyers still join at all ranks. What was measured stands.
  void StartAnew() { looks_.clear(); }

  // This part of those who wait leaves each second.
  double per_s() const { return per_s_; }

 private:
  struct LookBack {
    double at_s = 0;
    RoomCounts waiting = {};
    uint64_t frontier = 0;
  };

  // Compares with what was seen then.
  void Measure(const LookBack& then, double at_s, const RoomCounts& waiting, uint64_t threshold);

  double per_s_;
  bool measured_;
  std::deque<LookBack> looks_;  // the oldest first
};

}  // namespace tranche::server
