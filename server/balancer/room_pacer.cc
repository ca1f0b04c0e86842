#include "server/balancer/room_pacer.h"

#include <algorithm>
#include <cmath>

#include "server/admission/room_rank.h"

namespace tranche::server {
namespace {

using internal::v1::RoomBoards;

// So much time of buyers may be let in at once, whatever came before.
constexpr absl::Duration kMostMadeUp = absl::Seconds(2);
// Who came later than this may not be in all reports yet.
constexpr absl::Duration kReportsLag = absl::Seconds(1);
// Nodes count a buyer for 1 to 1.1 poll intervals (room_tally.h).
constexpr double kCountedFor = 1.05;
constexpr double kMostUnderWay = 1e15;

// Never zero: it is divided by.
absl::Duration PollInterval(const RoomPace& pace) { return std::max(pace.poll_interval, absl::Seconds(1)); }

absl::Duration CountedFor(const RoomPace& pace) { return kCountedFor * PollInterval(pace); }

absl::Duration BuysWithin(const RoomPace& pace) { return pace.token_lifetime + PollInterval(pace); }

}  // namespace

void RoomPacer::AdvanceTime(absl::Time now, const RoomPace& pace) {
  // A clock that is set back stands still.
  step_ = stepped_at_.has_value() ? std::max(now - *stepped_at_, absl::ZeroDuration()) : absl::ZeroDuration();
  stepped_at_ = now;
  elapsed_ += step_;
  passed_.Forget(elapsed_ - CountedFor(pace));
  conversion_.Advance(elapsed_, BuysWithin(pace));
}

// Evenly spread over their bucket, those who wait would be the part of the counted ones above the threshold. But who
// was let in drops out of the counts after an interval, and then those who are counted all wait.
RoomCounts RoomPacer::WithoutPassed(const RoomCounts& living, const RoomPace& pace) const {
  RoomCounts waiting = living;
  for (const RoomCounts::Bucket& bucket : living.Buckets()) {
    if (threshold_ <= bucket.from || threshold_ >= bucket.to) continue;
    const double above = static_cast<double>(bucket.to - threshold_) / static_cast<double>(bucket.to - bucket.from);
    const auto counted = static_cast<double>(bucket.buyers);
    const double wait =
        std::max(counted - passed_.StillCounted(elapsed_, bucket.from, CountedFor(pace)), counted * above);
    // What Between takes a part of. Near the end of the bucket a single buyer would stand for many.
    waiting.ScaleBucketOf(threshold_, std::min(wait / above, 2 * counted + 1 / above) / counted);
  }
  return waiting;
}

double RoomPacer::RoomFor(const RoomPace& pace, const RoomSale& sale) const {
  const auto unsold = static_cast<double>(std::max<int64_t>(sale.unsold, 0));
  const double at_most = std::max(pace.ahead * unsold / conversion_.conversion(), std::min(unsold, 1.0));
  return at_most - conversion_.under_way();
}

RoomPacer::Held RoomPacer::LetIn(const RoomPace& pace, const RoomCounts& waiting, const RoomSale& sale,
                                 uint64_t frontier) {
  const double most = pace.buyers_per_s * absl::ToDoubleSeconds(kMostMadeUp);
  credit_ = std::min(credit_ + pace.buyers_per_s * absl::ToDoubleSeconds(std::min(step_, kMostMadeUp)), most);
  if (waiting.Between(threshold_, UINT64_MAX) <= 0) return RoomBoards::HELD_NOBODY_WAITS;
  const double room = RoomFor(pace, sale);
  if (room < 0.5) return RoomBoards::HELD_ENOUGH;
  const uint64_t reached = std::min(waiting.Advance(threshold_, std::min(credit_, room)), frontier);
  if (reached <= threshold_) return RoomBoards::HELD_UNSPECIFIED;
  const double buyers = waiting.Between(threshold_, reached);
  credit_ = std::max(0.0, credit_ - buyers);
  passed_.Note(elapsed_, threshold_, reached, buyers);
  conversion_.NoteLetIn(elapsed_, buyers);
  threshold_ = reached;
  return RoomBoards::HELD_UNSPECIFIED;
}

void RoomPacer::MeasureRate(const RoomPace& pace, Held held) {
  const bool stands = held == RoomBoards::HELD_NOT_OPEN || held == RoomBoards::HELD_RATE_ZERO;
  if (stands || held == RoomBoards::HELD_LEDGER_SILENT) going_since_ = elapsed_;
  const absl::Duration measured = std::min(PollInterval(pace), elapsed_ - going_since_);
  if (measured >= kReportsLag) {
    rate_ = passed_.Since(elapsed_ - measured) / absl::ToDoubleSeconds(measured);
  } else if (stands) {
    rate_ = 0;
  }
}

RoomStep RoomPacer::Step(absl::Time now, const RoomPace& pace, const RoomCounts& living,
                         const std::optional<RoomSale>& sale) {
  AdvanceTime(now, pace);
  if (sale.has_value()) conversion_.NoteTaken(elapsed_, sale->stock - sale->unsold);
  const uint64_t frontier = LateRank(absl::FromUnixSeconds(absl::ToUnixSeconds(now - kReportsLag)));
  const RoomCounts counted = WithoutPassed(living, pace);
  Held held = RoomBoards::HELD_LEDGER_SILENT;
  if (sale.has_value() && !sale->open) held = RoomBoards::HELD_NOT_OPEN;
  if (sale.has_value() && sale->open) {
    held = pace.buyers_per_s > 0 ? LetIn(pace, counted, *sale, frontier) : RoomBoards::HELD_RATE_ZERO;
  }
  if (held == RoomBoards::HELD_NOT_OPEN) leaving_.Forget();
  MeasureRate(pace, held);
  RoomStep step = {.threshold = threshold_,
                   .let_in_per_s = rate_,
                   .conversion = conversion_.conversion(),
                   .under_way = static_cast<int64_t>(std::min(conversion_.under_way(), kMostUnderWay)),
                   .held = held,
                   .waiting = WithoutPassed(living, pace)};
  leaving_.Look(elapsed_, threshold_, frontier, step.waiting, PollInterval(pace));
  step.leaving_per_s = leaving_.per_s();
  return step;
}

}  // namespace tranche::server
