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
// A leader renews its boards every 5 s, so nobody does any more: an older one's rates say nothing of what comes.
constexpr absl::Duration kRatesLast = absl::Seconds(10);

WaitingTicket TicketOfVisit(const DoorRoom& room, const FrontKeys& keys, const RoomVisit& visit, absl::Time now) {
  std::optional<WaitingTicket> kept = ReadWaitingTicket(keys, visit.ticket, visit.sku_id, visit.user_id);
  const bool any_round = storage::Mutated(storage::Mutation::kTicketOfAnyRound);
  if (kept.has_value() && (kept->round == room.round || any_round)) {
    // The opening was put off. Without the ticket they would be shuffled, and nobody should gain by throwing it away.
    if (!visit.opened) kept->shuffled = true;
    return *kept;
  }
  return {.round = room.round, .joined_at = now, .shuffled = !visit.opened, .counted_at = absl::UnixEpoch()};
}

uint64_t RankOf(const DoorPolicy& policy, const WaitingTicket& ticket, absl::string_view user_id) {
  if (!ticket.shuffled) return LateRank(ticket.joined_at);
  return ShuffledRank(policy.room->key, policy.sku_id, policy.room->round, user_id);
}

bool HasTurn(const RoomVisit& visit, uint64_t rank, uint64_t threshold) {
  const bool inclusive = storage::Mutated(storage::Mutation::kThresholdIncludesItsRank);
  return visit.may_enter && (rank < threshold || (inclusive && rank == threshold));
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

// What the board says of the place. `may_enter`: otherwise nobody leaves the room, and the rates say nothing.
void TellPlace(const RoomBoard& board, bool may_enter, absl::Time now, RoomPlace* place) {
  place->computed_at = board.computed_at;
  const double ahead = place->let_in ? 0 : board.waiting.Between(board.threshold, place->rank);
  // Rounded down: the buyer is one of those of their bucket.
  place->ahead = static_cast<int64_t>(std::min(ahead, kMostAhead));
  if (place->let_in) {
    place->expected_wait = absl::ZeroDuration();
  } else if (may_enter && now - board.computed_at <= kRatesLast) {
    place->expected_wait = ExpectedWait(ahead, board.let_in_per_s, board.leaving_per_s);
  }
}

// For how long they have at least to wait, as far as somebody can tell: what was measured, or what the policy says.
std::optional<absl::Duration> LikelyWait(const DoorRoom& room, const RoomVisit& visit, const RoomPlace& place) {
  if (place.expected_wait.has_value()) return place.expected_wait;
  // A sale that is held after its opening goes on nobody knows when.
  const bool held = visit.opened && !visit.may_enter;
  if (held || room.buyers_per_s <= 0 || !place.ahead.has_value()) return std::nullopt;
  return visit.opens_in + absl::Seconds(static_cast<double>(*place.ahead) / room.buyers_per_s);
}

// Counts somebody who waits, if it is time to. Until they are to be counted again: more than zero.
absl::Duration CountIfDue(const DoorPolicy& policy, DoorRooms& rooms, uint64_t rank, absl::Time now,
                          WaitToCount wait_to_count, WaitingTicket* ticket) {
  const DoorRoom& room = *policy.room;
  const absl::Duration interval = OwnInterval(room.poll_interval, rank);
  absl::Duration left = UntilCounted(ticket->counted_at, interval, now);
  if (left > absl::ZeroDuration()) return left;
  left = std::min(wait_to_count(interval), interval);
  if (left > absl::ZeroDuration()) {
    // As if the ticket had said so: the next count is not put off by a ticket that was lost.
    ticket->counted_at = now - (interval - left);
    return left;
  }
  rooms.Count(policy.sku_id, room.round, rank, now);
  ticket->counted_at = now;
  return interval;
}

// A part of those who wait, or buyers: 0 for what is no such number.
double SaneRate(double rate) { return std::isfinite(rate) && rate > 0 ? rate : 0; }

}  // namespace

RoomPlace EnterRoom(const DoorPolicy& policy, const FrontKeys& keys, DoorRooms& rooms, const RoomVisit& visit,
                    absl::Time now, WaitToCount wait_to_count) {
  CHECK(policy.room.has_value());
  const DoorRoom& room = *policy.room;
  WaitingTicket ticket = TicketOfVisit(room, keys, visit, now);
  RoomPlace place;
  place.shuffled = ticket.shuffled;
  place.rank = RankOf(policy, ticket, visit.user_id);
  const std::shared_ptr<const RoomBoard> board = rooms.Board(policy.sku_id, room.round);
  if (board != nullptr) place.threshold = board->threshold;
  place.let_in = HasTurn(visit, place.rank, place.threshold);
  if (board != nullptr) TellPlace(*board, visit.may_enter, now, &place);
  if (!place.let_in) {
    place.retry_after = CountIfDue(policy, rooms, place.rank, now, wait_to_count, &ticket);
    if (const std::optional<absl::Duration> wait = LikelyWait(room, visit, place)) {
      place.retry_after = std::min(place.retry_after, std::max(*wait / 2, kSoonestRetry));
    }
  }
  place.ticket = MakeWaitingTicket(keys, visit.sku_id, visit.user_id, ticket);
  return place;
}

bool WouldLetIn(const DoorPolicy& policy, const FrontKeys& keys, const DoorRooms& rooms, const RoomVisit& visit,
                absl::Time now) {
  CHECK(policy.room.has_value());
  if (!visit.may_enter) return false;
  const std::shared_ptr<const RoomBoard> board = rooms.Board(policy.sku_id, policy.room->round);
  // Before the ticket is read: while nobody is let in, nothing of it counts.
  if (board == nullptr) return false;
  const WaitingTicket ticket = TicketOfVisit(*policy.room, keys, visit, now);
  return HasTurn(visit, RankOf(policy, ticket, visit.user_id), board->threshold);
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
