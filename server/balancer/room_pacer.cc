#include "server/balancer/room_pacer.h"

#include <algorithm>
#include <cmath>

#include "server/admission/room_rank.h"

namespace tranche::server {
namespace {

using internal::v1::RoomBoards;

constexpr double kMostCreditS = 2;
// A buyer who joins is in the node's next report, and that is read at the next step: half a second each.
constexpr absl::Duration kUncounted = absl::Seconds(1);
// A buyer is counted anew after one interval to one and a tenth (room_entry.h), and the nodes' windows are as much
// longer.
constexpr double kIntervalsCounted = 1.05;
// Of a buyer: less is not worth a step.
constexpr double kLeastRoom = 0.5;
constexpr double kMostUnderWayTold = 1e15;

double PacerSeconds(absl::Duration duration) {
  return std::clamp(absl::ToDoubleSeconds(duration), 1.0, absl::ToDoubleSeconds(absl::Hours(24)));
}

// Whole seconds, as the narrowest buckets are: of a bucket that is not over yet, not all are counted.
uint64_t CountedFrontier(absl::Time now) {
  return LateRank(absl::FromUnixSeconds(absl::ToUnixSeconds(now - kUncounted)));
}

double RateOrZero(double per_s) { return std::isfinite(per_s) && per_s > 0 ? per_s : 0; }

// The policy, or the sale, lets nobody in, or it is not known.
bool IsClosed(RoomBoards::Held held) {
  return held == RoomBoards::HELD_NOT_OPEN || held == RoomBoards::HELD_RATE_ZERO ||
         held == RoomBoards::HELD_LEDGER_SILENT;
}

}  // namespace

RoomPacer::RoomPacer(const RoomStep& found)
    : line_(found.threshold),
      sales_(static_cast<double>(found.under_way), found.conversion),
      leaving_(found.leaving_per_s),
      let_in_per_s_(RateOrZero(found.let_in_per_s)) {}

RoomStep RoomPacer::Step(absl::Time now, const RoomPace& pace, const RoomCounts& living,
                         const std::optional<RoomSale>& sale) {
  const double elapsed_s = Elapse(now);
  const double poll_s = PacerSeconds(pace.poll_interval);
  const uint64_t frontier = CountedFrontier(now);
  sales_.Look(at_s_, poll_s + PacerSeconds(pace.token_lifetime), sale);
  line_.Look(at_s_, poll_s * kIntervalsCounted, living, std::exp(-leaving_.per_s() * elapsed_s));
  const Held held = WhyHeld(pace, sale);
  const double let_in = IsClosed(held) ? 0 : LetIn(elapsed_s, pace, *sale, held, frontier);
  MeasureRate(elapsed_s, let_in, pace, held);
  RoomStep step = {.threshold = line_.threshold(),
                   .let_in_per_s = let_in_per_s_,
                   .leaving_per_s = 0,
                   .conversion = sales_.conversion(),
                   .under_way = std::llround(std::min(sales_.under_way(), kMostUnderWayTold)),
                   .held = held,
                   .waiting = line_.Waiting()};
  if (held == RoomBoards::HELD_NOT_OPEN) {
    leaving_.StartAnew();
  } else {
    leaving_.Look(at_s_, poll_s, step.waiting, step.threshold, frontier);
  }
  step.leaving_per_s = leaving_.per_s();
  return step;
}

double RoomPacer::Elapse(absl::Time now) {
  const absl::Duration passed =
      last_step_.has_value() ? std::max(now - *last_step_, absl::ZeroDuration()) : absl::ZeroDuration();
  last_step_ = now;
  // A clock that leaps by more than a day says nothing more than one that leaps by a day.
  const double elapsed_s = std::min(absl::ToDoubleSeconds(passed), absl::ToDoubleSeconds(absl::Hours(24)));
  at_s_ += elapsed_s;
  return elapsed_s;
}

double RoomPacer::RoomLeft(const RoomPace& pace, const RoomSale& sale) const {
  if (sale.unsold <= 0) return 0;
  const double ahead = RateOrZero(pace.ahead) * static_cast<double>(sale.unsold) / sales_.conversion();
  return std::max(std::max(ahead, 1.0) - sales_.under_way(), 0.0);
}

RoomPacer::Held RoomPacer::WhyHeld(const RoomPace& pace, const std::optional<RoomSale>& sale) const {
  if (!sale.has_value()) return RoomBoards::HELD_LEDGER_SILENT;
  if (!sale->open) return RoomBoards::HELD_NOT_OPEN;
  if (pace.buyers_per_s <= 0) return RoomBoards::HELD_RATE_ZERO;
  if (line_.empty()) return RoomBoards::HELD_NOBODY_WAITS;
  if (RoomLeft(pace, *sale) < kLeastRoom) return RoomBoards::HELD_ENOUGH;
  return RoomBoards::HELD_UNSPECIFIED;
}

double RoomPacer::LetIn(double elapsed_s, const RoomPace& pace, const RoomSale& sale, Held held, uint64_t frontier) {
  const double rate = pace.buyers_per_s;
  credit_ = std::min(credit_ + rate * elapsed_s, rate * kMostCreditS);
  if (held != RoomBoards::HELD_UNSPECIFIED) return 0;
  const double passed = line_.Pass(std::min(credit_, RoomLeft(pace, sale)), frontier);
  credit_ -= passed;
  sales_.LetIn(passed);
  return passed;
}

void RoomPacer::MeasureRate(double elapsed_s, double let_in, const RoomPace& pace, Held held) {
  if (IsClosed(held)) {
    let_in_per_s_ = 0;
    rate_measured_at_ = 0;
    return;
  }
  if (elapsed_s <= 0) return;
  // What was saved up goes in at once, but that does not last.
  const double seen_s = std::min(elapsed_s, kMostCreditS);
  const double seen = std::min(let_in / seen_s, static_cast<double>(pace.buyers_per_s));
  const double weight = 1 - std::exp(-seen_s / PacerSeconds(pace.poll_interval));
  const bool is_new = rate_measured_at_ != pace.buyers_per_s;
  let_in_per_s_ = is_new ? seen : let_in_per_s_ + weight * (seen - let_in_per_s_);
  rate_measured_at_ = pace.buyers_per_s;
}

}  // namespace tranche::server
