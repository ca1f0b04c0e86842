// Converts SKUs between the ledger's type and the API's message.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/ledger/sku_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

// Whether a buyer can get a unit at `now`, and if not, why. Of several reasons, the most lasting one.
v1::SkuState StateOf(const storage::Sku& sku, absl::Time now);

v1::Sku ToMessage(const storage::Sku& sku, absl::Time now);

// FIELD_INVALID unless it can be the reason of a pause: none, if it is not paused.
absl::Status CheckPauseReason(bool paused, absl::string_view reason, absl::string_view field);

// The SKU with the changes that are asked for at `now`, checked as for a new one; FIELD_INVALID names the field.
absl::StatusOr<storage::Sku> Updated(storage::Sku sku, const v1::UpdateSkuRequest& request, absl::Time now);
// Is nothing different that UpdateSku can change?
bool HaveSameTerms(const storage::Sku& a, const storage::Sku& b);

// The SKU to create at `now`: checks every field against the API's limits and fills in the defaults. Read-only fields
// are ignored.
absl::StatusOr<storage::Sku> FromMessage(const v1::Sku& message, absl::Time now);

}  // namespace tranche::server
