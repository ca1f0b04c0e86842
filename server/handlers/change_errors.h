// Translates why a reservation was not changed into the API's errors.
#pragma once

#include "absl/status/status.h"
#include "storage/ledger/lifecycle_ledger.h"

namespace tranche::server {

// For an outcome that is not a success, of the reservation `id`. `refund_requested`: the payment is recorded and a
// refund is requested.
absl::Status ChangeError(const storage::Uuid& id, const storage::ChangeResult& result, bool refund_requested);
// Who would leave a group has a reservation that was made for none.
absl::Status NotInGroup(const storage::Uuid& id);

}  // namespace tranche::server
