// Checks the API's fields against the formats that the .proto files state. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/id_format.h"
#include "server/plain_utf8.h"

namespace tranche::server {

inline constexpr int64_t kMaxStock = 1'000'000'000;

// Three capital letters, as ISO 4217 has them.
bool IsCurrency(absl::string_view text);

// OK, or SKU_ID_REQUIRED / SKU_ID_MALFORMED about the field of this name.
absl::Status CheckSkuId(absl::string_view sku_id, absl::string_view field = "sku_id");

// OK, or FIELD_INVALID: no token is so long. What else is wrong with it, the front door says.
absl::Status CheckPurchaseToken(absl::string_view token, absl::string_view field = "purchase_token");

// OK also for none. Otherwise FIELD_INVALID: it must be an IP address alone.
absl::Status CheckBuyerAddress(absl::string_view address, absl::string_view field = "buyer_address");

// Items per page: the default, and the most.
inline constexpr int kDefaultPageSize = 100;
inline constexpr int kLargestPageSize = 1000;

// The page size to use: `fallback` for 0, at most kLargestPageSize. FIELD_INVALID when negative.
absl::StatusOr<int> CheckPageSize(int32_t page_size, int fallback = kDefaultPageSize);

// A page token holds the key of the last item and is opaque to callers. "" stands for the first page.
std::string EncodePageToken(absl::string_view last_key);
// FIELD_INVALID if we did not issue the token.
absl::StatusOr<std::string> DecodePageToken(absl::string_view token);

}  // namespace tranche::server
