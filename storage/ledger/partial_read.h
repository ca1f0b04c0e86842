// What a read of many things over all shards found.
#pragma once

#include <cstddef>
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
  // So many of those that were to be read, the last ones, were not asked for: it would have taken too long.
  size_t left = 0;
};
using PartialRead = PartialReadOf<Reservation>;

}  // namespace tranche::storage
