// Shows how far waiting rooms are.
#pragma once

#include <map>
#include <string>

#include "absl/time/time.h"
#include "client/ctl/session.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::ctl {

// By sku_id. Those that could not be read are missing.
using SkusOfRooms = std::map<std::string, tranche::v1::Sku>;

// Whether buyers are let in, and if not, why, and what to do: "held: its rate is 0; `tranchectl door set tv ...`".
// `now` is this machine's, and the age of what was computed by it. `sku`: nullptr if it could not be read, or does not
// matter; it says why a sale is not open.
std::string DescribeRoomState(const tranche::v1::Room& room, absl::Time now, const tranche::v1::Sku* sku = nullptr);

// A row for each room, and below them a line for each where nobody is let in.
void PrintRooms(Session& session, const tranche::v1::ListRoomsResponse& rooms, absl::Time now,
                const SkusOfRooms& skus = {});

// What to warn of when the terms of a SKU change: it will open later, and buyers were let in from its room, whose
// threshold stands. "": nothing.
std::string WarningOfLaterOpening(const tranche::v1::Sku& before, const tranche::v1::Sku& after,
                                  const tranche::v1::ListRoomsResponse& rooms);

}  // namespace tranche::ctl
