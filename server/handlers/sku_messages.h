// Converts SKUs between the ledger's type and the API's message.
#pragma once

#include "absl/status/statusor.h"
#include "storage/ledger/sku_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

v1::Sku ToMessage(const storage::Sku& sku);

// Checks every field against the API's limits and fills in the defaults. Read-only fields are ignored.
absl::StatusOr<storage::Sku> FromMessage(const v1::Sku& message);

}  // namespace tranche::server
