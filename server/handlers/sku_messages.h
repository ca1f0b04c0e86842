// Converts SKUs between the ledger's type and the API's message.
#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/ledger/sku_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

// Whether a buyer can get a unit at `now`, and if not, why. Of several reasons, the most lasting one.
v1::SkuState StateOf(const storage::Sku& sku, absl::Time now);

v1::Sku ToMessage(const storage::Sku& sku, absl::Time now);

// The SKU to create at `now`: checks every field against the API's limits and fills in the defaults. Read-only fields
// are ignored.
absl::StatusOr<storage::Sku> FromMessage(const v1::Sku& message, absl::Time now);

}  // namespace tranche::server
