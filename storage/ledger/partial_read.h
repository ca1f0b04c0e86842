// What a read of many things over all shards found.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "storage/ledger/reservation_ledger.h"

namespace tranche::storage {

template <typename Thing>
struct PartialReadOf {
  std::vector<Thing> found = {};
  // OK: what was not found does not exist. Otherwise it may: why it is not known.
  absl::Status rest = {};
  bool none_answered = false;
};
using PartialRead = PartialReadOf<Reservation>;

}  // namespace tranche::storage
