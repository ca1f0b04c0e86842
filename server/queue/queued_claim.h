// What a message of a claim queue says, and how: tranche.internal.v1.QueuedClaim.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/ledger/reservation_ledger.h"

namespace tranche::server {

struct QueuedClaim {
  // 1 to kMaxCartLines, of one buyer and with one order reference. One that joins a group is alone, and no cart.
  std::vector<storage::ReservationClaim> lines;
  bool cart = false;
  absl::Time enqueued_at;
  absl::Time deadline;
};

std::string ToMessage(const QueuedClaim& claim);
// kInvalidArgument: damaged, or what this version cannot keep to (no line, too many, ids twice, a quantity below 1, ids
// that the API would refuse, a cart that joins a group). What others wrote is input.
absl::StatusOr<QueuedClaim> ReadMessage(absl::string_view message);

}  // namespace tranche::server
