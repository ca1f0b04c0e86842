// What a read of reservations over all shards found.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "storage/ledger/reservation_ledger.h"

namespace tranche::storage {

struct PartialRead {
  std::vector<Reservation> found = {};
  // OK: what was not found does not exist. Otherwise it may: why it is not known.
  absl::Status rest = {};
  bool none_answered = false;
};

}  // namespace tranche::storage
