// Whether a caller who lost the answer may simply repeat the call.
#pragma once

#include <cstdint>

namespace tranche::server {

// kNo: the caller must look first, or put an expectation into the request (expected_stock, expected_quota_version).
enum class Repeatable : uint8_t { kYes, kNo };

}  // namespace tranche::server
