// How fast one waiting room lets buyers in: the threshold of its ranks, computed from who still waits, what is unsold,
// and how many of those who were let in have bought. No I/O.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "absl/time/time.h"
#include "server/admission/room_counts.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::server {

struct RoomPace {
  int32_t buyers_per_s = 0;
  double ahead = 2;  // let in at most so many that this part of what is unsold is bought
  absl::Duration poll_interval = absl::Seconds(20);
  absl::Duration token_lifetime =
      absl::Minutes(2);  // who has not bought by then, and a poll interval, does not count as under way
};

// Of the SKU, as the ledger says.
struct RoomSale {
  bool open = false;
  int64_t unsold = 0;
  int64_t stock = 0;
};

// What was computed.
struct RoomStep {
  uint64_t threshold = 0;
  double let_in_per_s = 0;
  double leaving_per_s = 0;
  double conversion = 1;
  int64_t under_way = 0;
  internal::v1::RoomBoards::Held held = internal::v1::RoomBoards::HELD_UNSPECIFIED;
};

// Of one round of one room. Used by one thread.
class RoomPacer {
 public:
  // `threshold`: how far the round was when this process began to lead; 0 for a new round.
  explicit RoomPacer(uint64_t threshold) : threshold_(threshold) {}

  // Call it about twice a second. `living`: who waits, at all nodes. `sale`: nullopt if the ledger does not say.
  // The threshold never falls, and never passes 2^63 + now: who comes later is counted first. After a pause between two
  // calls, or without `sale`, nothing is made up for: at most two seconds' worth of buyers are let in at once.
  RoomStep Step(absl::Time now, const RoomPace& pace, const RoomCounts& living, const std::optional<RoomSale>& sale);

  uint64_t threshold() const { return threshold_; }

 private:
  uint64_t threshold_;
};

}  // namespace tranche::server
