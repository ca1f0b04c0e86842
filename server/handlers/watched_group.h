// What is watched by WatchGroup.
#pragma once

#include <string>

#include "storage/uuid.h"

namespace tranche::server {

// A group's id is unique on its shard only.
struct WatchedGroup {
  storage::Uuid group_id;
  std::string sku_id = {};  // "": the group of any SKU

  friend bool operator==(const WatchedGroup& a, const WatchedGroup& b) {
    return a.group_id == b.group_id && a.sku_id == b.sku_id;
  }
  friend bool operator<(const WatchedGroup& a, const WatchedGroup& b) {
    if (!(a.group_id == b.group_id)) return a.group_id < b.group_id;
    return a.sku_id < b.sku_id;
  }
};

}  // namespace tranche::server
