// Lets buyers into waiting rooms: reads who waits from the nodes' reports, asks the ledgers what is unsold, and announces
// the thresholds (quota/coordination/room_announcements.h). Only where home's balancer leads; otherwise it does nothing.
//
// What is announced is all that lasts: a leader goes on from the threshold that it finds. If nobody leads, thresholds
// stand, and who was let in goes on.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "quota/coordination/announcer.h"
#include "server/balancer/room_pacer.h"
#include "storage/clock.h"
#include "storage/ledger/front_ledger.h"

namespace tranche::server {

// Used by one thread. Outlived by its dependencies.
class RoomKeeper {
 public:
  // What the ledger of its shard says of a SKU. nullopt: no shard has it.
  using FindSale = std::function<absl::StatusOr<std::optional<RoomSale>>(const std::string& sku_id)>;

  RoomKeeper(storage::FrontLedger* home, quota::SessionSource* sessions, std::function<bool()> leads, FindSale find_sale,
             storage::Clock* clock);

  // One look at everything; about twice a second. Blocks.
  absl::Status Tick();
};

}  // namespace tranche::server
