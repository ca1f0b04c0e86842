// Shows how far waiting rooms are.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "client/ctl/session.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::ctl {

// Whether buyers are let in, and if not, why, and what to do: "held: its rate is 0; `tranchectl door set tv ...`".
// `now` is this machine's, and the age of what was computed by it.
std::string DescribeRoomState(const tranche::v1::Room& room, absl::Time now);

// A row for each room, and below them a line for each where nobody is let in.
void PrintRooms(Session& session, const tranche::v1::ListRoomsResponse& rooms, absl::Time now);

}  // namespace tranche::ctl
