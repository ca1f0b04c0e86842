// The formats of ids in the API, as the .proto files state them: also of what comes back from where it was written
// down. Pure functions.
#pragma once

#include "absl/strings/string_view.h"

namespace tranche::server {

// 1 to 64 characters of [A-Za-z0-9._-].
bool IsSkuId(absl::string_view text);
// 1 to 128 bytes of UTF-8 without control characters.
bool IsUserId(absl::string_view text);

}  // namespace tranche::server
