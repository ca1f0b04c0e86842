// Why a reservation was not changed, as the API's errors.
#pragma once

#include "absl/status/status.h"
#include "storage/ledger/lifecycle_ledger.h"

namespace tranche::server {

// Of an outcome that is no success. `refund_requested`: the payment is recorded and a refund asked for.
absl::Status ChangeError(const storage::ChangeResult& result, bool refund_requested);

}  // namespace tranche::server
