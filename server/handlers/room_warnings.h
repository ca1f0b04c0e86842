// What an operator should know of a change of a waiting room in the front door's policy, in the words of whoever types
// it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "storage/ledger/sku_ledger.h"
#include "tranche/v1/front_door_service.pb.h"

namespace tranche::server {

struct RoomChange {
  const v1::FrontPolicy& before;  // empty: there was none
  const v1::FrontPolicy& after;   // empty: it is removed
  bool new_round = false;         // asked for; where a room comes, one begins also without
};

// `sku`: nullopt if it does not exist, or could not be read. Nothing if neither policy has a room. Thread-safe.
std::vector<std::string> WarningsOfRoom(const RoomChange& change, const std::optional<storage::Sku>& sku,
                                        absl::Time now);

}  // namespace tranche::server
