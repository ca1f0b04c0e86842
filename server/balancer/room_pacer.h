// How fast one waiting room lets buyers in: the threshold of its ranks, computed from who still waits, what is unsold,
// and how many of those who were let in have bought. No I/O.
//
// Each step adds buyers_per_s x time to a credit and moves the threshold over as many of those who wait. It stops where
// those under way, as far as they buy, would buy `ahead` times what is unsold.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "server/admission/room_counts.h"
#include "server/balancer/conversion_gauge.h"
#include "server/balancer/leaving_gauge.h"
#include "server/balancer/passed_ranks.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::server {

struct RoomPace {
  int32_t buyers_per_s = 0;
  double ahead = 2;  // let in at most so many that this part of what is unsold is bought
  absl::Duration poll_interval = absl::Seconds(20);
  // Who has not bought by then, and a poll interval, does not count as under way.
  absl::Duration token_lifetime = absl::Minutes(2);
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
  // Who waits, by what was counted: without those of the threshold's bucket who were let in lately.
  RoomCounts waiting = {};
};

// Of one round of one room. Used by one thread.
class RoomPacer {
 public:
  // `threshold`: how far the round was when this process began to lead; 0 for a new round.
  explicit RoomPacer(uint64_t threshold) : threshold_(threshold) {}

  // Call it about twice a second. `living`: who was counted, at all nodes. `sale`: nullopt if the ledger does not say.
  // The threshold never falls, and never passes 2^63 + now: who comes later is counted first. After a pause between two
  // calls, or without `sale`, nothing is made up for: at most two seconds' worth of buyers are let in at once.
  RoomStep Step(absl::Time now, const RoomPace& pace, const RoomCounts& living, const std::optional<RoomSale>& sale);

  uint64_t threshold() const { return threshold_; }

 private:
  using Held = internal::v1::RoomBoards::Held;

  void AdvanceTime(absl::Time now, const RoomPace& pace);
  // Those who were let in out of the bucket of the threshold are counted for some time.
  RoomCounts WithoutPassed(const RoomCounts& living, const RoomPace& pace) const;
  // More may be let in by what is unsold.
  double RoomFor(const RoomPace& pace, const RoomSale& sale) const;
  Held LetIn(const RoomPace& pace, const RoomCounts& waiting, const RoomSale& sale, uint64_t frontier);
  void MeasureRate(const RoomPace& pace, Held held);

  uint64_t threshold_;
  std::optional<absl::Time> stepped_at_;
  absl::Duration step_ = absl::ZeroDuration();     // since the step before
  absl::Duration elapsed_ = absl::ZeroDuration();  // of all steps
  absl::Duration going_since_ = absl::ZeroDuration();
  double credit_ = 0;
  double rate_ = 0;
  PassedRanks passed_;
  ConversionGauge conversion_;
  LeavingGauge leaving_;
};

}  // namespace tranche::server
