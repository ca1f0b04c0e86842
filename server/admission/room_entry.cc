#include "server/admission/room_entry.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "glog/logging.h"
#include "server/admission/room_rank.h"
#include "server/admission/waiting_ticket.h"
#include "storage/mutation.h"

namespace tranche::server {
namespace {

constexpr absl::Duration kSoonestRetry = absl::Seconds(1);
// So long nobody waits: the rates that say it are no good.
constexpr double kLongestWaitS = 366.0 * 24 * 3600;
constexpr double kMostAhead = 1e15;

WaitingTicket TicketOfVisit(const DoorRoom& room, const FrontKeys& keys, const RoomVisit& visit, absl::Time now) {
  const std::optional<WaitingTicket> kept = ReadWaitingTicket(keys, visit.ticket, visit.sku_id, visit.user_id);
  const bool any_round = storage::Mutated(storage::Mutation::kTicketOfAnyRound);
  if (kept.has_value() && (kept->round == room.round || any_round)) return *kept;
  return {.round = room.round, .joined_at = now, .shuffled = !visit.sale_open, .counted_at = absl::UnixEpoch()};
}

// Each buyer has an interval of their own, up to a tenth longer than the room's, so that those who came in one moment
// do not come back in one moment for ever. It is the same for who keeps to it and for who asks more often.
absl::Duration OwnInterval(absl::Duration poll_interval, uint64_t rank) {
  return poll_interval + poll_interval * static_cast<int64_t>(rank % 101) / 1000;
}

// Zero: now. Were the time far ahead, then by a clock that was wrong, the buyer would not be counted for long.
absl::Duration UntilCounted(absl::Time counted_at, absl::Duration interval, absl::Time now) {
  const absl::Duration left = counted_at + interval - now;
  if (left > 2 * interval) return absl::ZeroDuration();
  return std::clamp(left, absl::ZeroDuration(), interval);
}

// What the board says of the place.
void TellPlace(const RoomBoard& board, bool sale_open, RoomPlace* place) {
  place->computed_at = board.computed_at;
  const double ahead = place->let_in ? 0 : board.waiting.Between(board.threshold, place->rank);
  // Rounded down: the buyer is one of those of their bucket.
  place->ahead = static_cast<int64_t>(std::min(ahead, kMostAhead));
  if (place->let_in) {
    place->expected_wait = absl::ZeroDuration();
  } else if (sale_open) {
    place->expected_wait = ExpectedWait(ahead, board.let_in_per_s, board.leaving_per_s);
  }
}

// A part of those who wait, or buyers: 0 for what is no such number.
double SaneRate(double rate) { return std::isfinite(rate) && rate > 0 ? rate : 0; }

}  // namespace

RoomPlace EnterRoom(const DoorPolicy& policy, const FrontKeys& keys, DoorRooms& rooms, const RoomVisit& visit,
                    absl::Time now) {
  CHECK(policy.room.has_value());
  const DoorRoom& room = *policy.room;
  WaitingTicket ticket = TicketOfVisit(room, keys, visit, now);
  RoomPlace place;
  place.shuffled = ticket.shuffled;
  place.rank =
      ticket.shuffled ? ShuffledRank(room.key, policy.sku_id, room.round, visit.user_id) : LateRank(ticket.joined_at);
  const std::shared_ptr<const RoomBoard> board = rooms.Board(policy.sku_id, room.round);
  if (board != nullptr) place.threshold = board->threshold;
  const bool inclusive = storage::Mutated(storage::Mutation::kThresholdIncludesItsRank);
  place.let_in = visit.sale_open && (place.rank < place.threshold || (inclusive && place.rank == place.threshold));
  if (board != nullptr) TellPlace(*board, visit.sale_open, &place);
  if (!place.let_in) {
    const absl::Duration interval = OwnInterval(room.poll_interval, place.rank);
    place.retry_after = UntilCounted(ticket.counted_at, interval, now);
    if (place.retry_after == absl::ZeroDuration()) {
      rooms.Count(policy.sku_id, room.round, place.rank, now);
      ticket.counted_at = now;
      place.retry_after = interval;
    }
    if (place.expected_wait.has_value()) {
      place.retry_after = std::min(place.retry_after, std::max(*place.expected_wait / 2, kSoonestRetry));
    }
  }
  place.ticket = MakeWaitingTicket(keys, visit.sku_id, visit.user_id, ticket);
  return place;
}

std::optional<absl::Duration> ExpectedWait(double ahead, double let_in_per_s, double leaving_per_s) {
  const double rate = SaneRate(let_in_per_s);
  const double leaving = SaneRate(leaving_per_s);
  if (rate == 0 || std::isnan(ahead)) return std::nullopt;
  const double alone_s = std::max(ahead, 0.0) / rate;  // if nobody left
  // ln(1 + x) / x is 1 for a small x, which the division would not say exactly.
  const double wait_s = leaving * alone_s < 1e-9 ? alone_s : std::log1p(leaving * alone_s) / leaving;
  if (!(wait_s <= kLongestWaitS)) return std::nullopt;
  return absl::Seconds(wait_s);
}

}  // namespace tranche::server
