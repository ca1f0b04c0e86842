// The reservations that an earlier run of tranche-load has made, to be changed and read.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tranche/client.h"

namespace tranche::load {

struct KnownReservation {
  std::string reservation_id;
  std::string sku_id;
};

// The lines of a file as Outcomes::RecordAcknowledged writes it. INVALID_ARGUMENT if it cannot be read, has another
// line or none.
absl::StatusOr<std::vector<KnownReservation>> ReadReservations(const std::string& path);

// What the ledger says of them now, without those that do not exist. Blocks; errors are those of Client::BatchGet.
absl::StatusOr<std::vector<Reservation>> LookUp(Client& client, const std::vector<KnownReservation>& known);

}  // namespace tranche::load
