// Those who wait in one room, in the order of their ranks, and the threshold that passes over them.
//
// Who is let in still counts as somebody who waits, until a poll interval after they were last counted. Those behind
// the threshold are left out. But a bucket that the threshold lies in has both, and where it takes an interval or more
// to pass a bucket, those of it who were let in have dropped out of its count: to spread the rest evenly over all of it
// would let in up to twice as many as it should. So what was passed is remembered for an interval.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "server/admission/room_counts.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::server {

// Used by one thread. Seconds are those since any fixed moment, and never less than at the call before.
class RoomLine {
 public:
  explicit RoomLine(uint64_t threshold) : threshold_(threshold) {}

  // Who waits, as counted over the last `window_s`. `staying`: the part of those who waited at the last look that has
  // not given up since, as far as is known; 0 to 1.
  void Look(double at_s, double window_s, const RoomCounts& living, double staying);
  // Nobody waits, as seen by Look.
  bool empty() const { return buckets_.empty(); }
  // Moves the threshold over so many of them, or up to `limit`, whichever comes first; at most to the
  // end of the last bucket where somebody is. Returns how many it passed.
  double Pass(double buyers, uint64_t limit);

  uint64_t threshold() const { return threshold_; }
  // Those who wait, so that RoomCounts::Between says how many come before a rank. Without those who were let in.
  RoomCounts Waiting() const;

 private:
  // Of the counts' buckets, those where somebody is, and that end behind the threshold.
  struct Bucket {
    int index = 0;  // the shuffled ones, then the late ones
    uint64_t begin = 0;
    uint64_t end = 0;
    double counted = 0;
    double most_counted = 0;  // since the threshold is in it
    double buyers = 0;        // spread evenly from the threshold, or `begin`, to `end`
  };
  struct Passage {
    double at_s = 0;
    uint64_t from = 0;
    uint64_t to = 0;
    double buyers = 0;
  };

  std::vector<Bucket> Buckets() const;
  void AddBucket(int index, uint64_t begin, uint64_t end, uint32_t counted, std::vector<Bucket>* buckets) const;
  // Sets the first bucket's buyers, if the threshold lies in it. `before`: at the last look.
  void Correct(const std::vector<Bucket>& before, double staying);
  // Of those from `begin` to the threshold, so many are still counted.
  double StillCounted(uint64_t begin) const;

  uint64_t threshold_;
  double at_s_ = 0;
  double window_s_ = 0;
  internal::v1::RoomCounts counts_;
  std::vector<Bucket> buckets_;   // in the order of ranks
  std::deque<Passage> passages_;  // of one window, the oldest first
};

}  // namespace tranche::server
