// One try of a buyer to be let into a sale through its waiting room.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/admission/door_rooms.h"
#include "server/admission/front_keys.h"
#include "server/admission/front_policy.h"

namespace tranche::server {

// Who asks, and with what.
struct RoomVisit {
  absl::string_view sku_id;
  absl::string_view user_id;
  absl::string_view ticket;  // "": none; one that cannot be read, or is of another round, counts as none
  bool opened = true;        // the sale has opened by its time: who joins now comes after those who joined before
  bool may_enter = true;     // false: they get their place and are counted, and nobody is let in
  // Until the opening; zero if it has opened, infinite if it is not known.
  absl::Duration opens_in = absl::ZeroDuration();
};

// Where they stand, and what they are told.
struct RoomPlace {
  bool let_in = false;
  std::string ticket;
  uint64_t rank = 0;
  uint64_t threshold = 0;
  bool shuffled = false;
  // nullopt: not known; the wait, neither by a board that is more than 10 s old. As of computed_at.
  std::optional<int64_t> ahead = {};
  std::optional<absl::Duration> expected_wait = {};
  absl::Time computed_at = absl::InfinitePast();
  absl::Duration retry_after = absl::ZeroDuration();  // zero if let in
};

// Asked before somebody is counted, with the time between two counts of theirs: a ticket may be an old one, or none.
// Zero: count them, and the next one who asks is told that they were. Otherwise they were counted lately all the same:
// again after this.
using WaitToCount = absl::FunctionRef<absl::Duration(absl::Duration interval)>;

// `policy` has a room, and `keys` a current key. A buyer who is not let in is counted as somebody who waits, once in an
// interval, however often they ask: the ticket says when. Each has an interval of their own: the room's, or by their
// rank up to a tenth longer, so that those who came together come back apart. They are counted whatever the state of
// the sale: who is not counted is taken to have left, and passed over. Thread-safe.
//
// A ticket of the running round is kept, and never gives a worse rank than none would: before the opening everybody is
// shuffled, also who has joined after an opening that was put off.
//
// retry_after is when the buyer is to be counted again, and never later. It is shorter for who is soon let in, so that
// a place is not left unused: half of the wait, at least 1 s. Before the opening, and while nothing is measured, the
// wait is reckoned by the opening and the policy's rate, and not told.
RoomPlace EnterRoom(const DoorPolicy& policy, const FrontKeys& keys, DoorRooms& rooms, const RoomVisit& visit,
                    absl::Time now, WaitToCount wait_to_count);

// Whether EnterRoom would let them in. Counts nobody. Thread-safe.
bool WouldLetIn(const DoorPolicy& policy, const FrontKeys& keys, const DoorRooms& rooms, const RoomVisit& visit,
                absl::Time now);

// How long until so many who come before are let in or have left: the solution of q' = -let_in_per_s - leaving_per_s q.
// nullopt if nobody is let in, or if it were more than a year. What is no rate counts as 0.
std::optional<absl::Duration> ExpectedWait(double ahead, double let_in_per_s, double leaving_per_s);

}  // namespace tranche::server
