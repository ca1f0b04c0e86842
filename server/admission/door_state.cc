#include "server/admission/door_state.h"

#include <algorithm>

namespace tranche::server {

const DoorPolicy* DoorState::PolicyOf(absl::string_view sku_id) const {
  if (policies.empty()) return nullptr;
  auto found = policies.find(sku_id);
  if (found == policies.end()) found = policies.find(absl::string_view(storage::kEverySku));
  return found == policies.end() ? nullptr : found->second.get();
}

bool DoorState::NeedsTable() const {
  return std::any_of(policies.begin(), policies.end(), [](const auto& entry) {
    const DoorPolicy& policy = *entry.second;
    return !policy.limits.empty() || (policy.risk.has_value() && policy.risk->address_refusals > 0);
  });
}

std::vector<OpenRoom> DoorState::OpenRooms() const {
  std::vector<OpenRoom> rooms;
  for (const auto& [sku_id, policy] : policies) {
    if (!policy->room.has_value()) continue;
    rooms.push_back({.sku_id = sku_id, .round = policy->room->round, .poll_interval = policy->room->poll_interval});
  }
  std::sort(rooms.begin(), rooms.end(), [](const OpenRoom& a, const OpenRoom& b) { return a.sku_id < b.sku_id; });
  if (rooms.size() > kMostRooms) rooms.resize(kMostRooms);
  return rooms;
}

absl::string_view DoorCheckName(DoorCheck check) {
  switch (check) {
    case DoorCheck::kAccessList:
      return "access_list";
    case DoorCheck::kPolicy:
      return "policy";
    case DoorCheck::kDraw:
      return "draw";
    case DoorCheck::kRisk:
      return "risk";
    case DoorCheck::kLimitUser:
      return "limit_user";
    case DoorCheck::kLimitAddress:
      return "limit_address";
    case DoorCheck::kLimitToken:
      return "limit_token";
    case DoorCheck::kLottery:
      return "lottery";
    case DoorCheck::kRoom:
      return "room";
    case DoorCheck::kPurchaseToken:
      return "purchase_token";
    case DoorCheck::kLimitSku:
      return "limit_sku";
  }
  return "";
}

DoorCheck CheckOfLimit(RateKeyKind kind) {
  switch (kind) {
    case RateKeyKind::kUser:
      return DoorCheck::kLimitUser;
    case RateKeyKind::kAddress:
      return DoorCheck::kLimitAddress;
    case RateKeyKind::kToken:
      return DoorCheck::kLimitToken;
    case RateKeyKind::kSku:
      return DoorCheck::kLimitSku;
  }
  return DoorCheck::kLimitUser;
}

}  // namespace tranche::server
