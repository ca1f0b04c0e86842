// How fast one waiting room lets buyers in: the threshold of its ranks, computed from who still waits, what is unsold,
// and how many of those who were let in have bought. No I/O.
//
//   rate      Credit grows by buyers_per_s, to two seconds' worth at most, and the threshold passes over as many of
//   those
//             who still wait. Whoever has given up costs nothing, at the latest an interval after they last asked.
//   cap       Those who are under way, times the part that buys, stay within `ahead` times what is unsold. While
//             anything is, one may be under way.
//   frontier  The threshold stays behind whoever may have joined and not been counted yet.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "server/admission/room_counts.h"
#include "server/balancer/room_leaving.h"
#include "server/balancer/room_line.h"
#include "server/balancer/room_sales.h"
#include "tranche/internal/v1/coordination.pb.h"

namespace tranche::server {

struct RoomPace {
  int32_t buyers_per_s = 0;
  double ahead = 2;  // let in at most so many that this part of what is unsold is bought
  absl::Duration poll_interval = absl::Seconds(20);
  // Who has not bought by then, and a poll interval, does not count as under way.
  absl::Duration token_lifetime = absl::Minutes(2);
};

// What was computed.
struct RoomStep {
  uint64_t threshold = 0;
  double let_in_per_s = 0;
  double leaving_per_s = 0;
  double conversion = 1;
  int64_t under_way = 0;
  internal::v1::RoomBoards::Held held = internal::v1::RoomBoards::HELD_UNSPECIFIED;
  // Who waits, for the boards: `living` of Step without those who were let in, who count for an interval more.
  RoomCounts waiting = {};
};

// Of one round of one room. Used by one thread.
class RoomPacer {
 public:
  // Goes on from what another leader has announced, or from RoomStep() in a new round: who is under way there, is it
  // here too, so that a change of leaders lets in no more than the cap. `held` and `waiting` do not matter. Values that
  // cannot be count as unknown.
  explicit RoomPacer(const RoomStep& found);

  // Call it about twice a second. `living`: who waits, at all nodes. `sale`: nullopt if the ledger does not say.
  // The threshold never falls, and never passes 2^63 + now: who comes later is counted first. After a pause between two
  // calls, or without `sale`, nothing is made up for: at most two seconds' worth of buyers are let in at once.
  RoomStep Step(absl::Time now, const RoomPace& pace, const RoomCounts& living, const std::optional<RoomSale>& sale);

  uint64_t threshold() const { return line_.threshold(); }

 private:
  using Held = internal::v1::RoomBoards::Held;

  // How long since the last step; a clock that was set back stood still.
  double Elapse(absl::Time now);
  // So many more may be under way.
  double RoomLeft(const RoomPace& pace, const RoomSale& sale) const;
  Held WhyHeld(const RoomPace& pace, const std::optional<RoomSale>& sale) const;
  // Returns how many.
  double LetIn(double elapsed_s, const RoomPace& pace, const RoomSale& sale, Held held, uint64_t frontier);
  void MeasureRate(double elapsed_s, double let_in, const RoomPace& pace, Held held);

  RoomLine line_;
  RoomSales sales_;
  RoomLeaving leaving_;
  std::optional<absl::Time> last_step_;
  double at_s_ = 0;  // since the first step
  double credit_ = 0;
  double let_in_per_s_ = 0;
  int32_t rate_measured_at_ = 0;  // buyers_per_s then; 0: the next step measures it anew
};

}  // namespace tranche::server
