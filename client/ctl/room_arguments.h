// The waiting room of a policy as people write it: --room, and how views show it.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::ctl {

// "200/s,ahead=150%,poll=10s": 200 buyers are let in each second, as long as these buy one and a half times what is
// unsold; they ask again every 10 s. What it does not say stays as in `rule`. Bounds are those of the cluster.
absl::StatusOr<tranche::v1::RoomRule> ParseRoom(const std::string& text, tranche::v1::RoomRule rule = {});
// The reverse: without what is not set.
std::string FormatRoom(const tranche::v1::RoomRule& rule);
// The same, with what counts where it does not say: "200/s, ahead 200% (default), poll 20s (default)".
std::string DescribeRoom(const tranche::v1::RoomRule& rule);

// Whether the rest of the policy goes with its room. What is wrong comes with the flag that mends it.
absl::Status CheckRoomIn(const tranche::v1::FrontPolicy& policy);

}  // namespace tranche::ctl
