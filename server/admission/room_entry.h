// One try of a buyer to be let into a sale through its waiting room.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

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
  bool sale_open = true;     // false: not yet
};

// Where they stand, and what they are told.
struct RoomPlace {
  bool let_in = false;
  std::string ticket;
  uint64_t rank = 0;
  uint64_t threshold = 0;
  bool shuffled = false;
  // nullopt: not known. As of computed_at.
  std::optional<int64_t> ahead = {};
  std::optional<absl::Duration> expected_wait = {};
  absl::Time computed_at = absl::InfinitePast();
  absl::Duration retry_after = absl::ZeroDuration();  // zero if let in
};

// `policy` has a room, and `keys` a current key. A buyer who is not let in is counted as somebody who waits, once in an
// interval, however often they ask: the ticket says when. Each has an interval of their own: the room's, or by their
// rank up to a tenth longer, so that those who came together come back apart. Before the opening nobody is let in.
// Thread-safe.
//
// retry_after is when the buyer is to be counted again, and never later. It is shorter for who is soon let in, so that
// a place is not left unused: half of the expected wait, at least 1 s.
RoomPlace EnterRoom(const DoorPolicy& policy, const FrontKeys& keys, DoorRooms& rooms, const RoomVisit& visit,
                    absl::Time now);

// How long until so many who come before are let in or have left: the solution of q' = -let_in_per_s - leaving_per_s q.
// nullopt if nobody is let in, or if it were more than a year. What is no rate counts as 0.
std::optional<absl::Duration> ExpectedWait(double ahead, double let_in_per_s, double leaving_per_s);

}  // namespace tranche::server
