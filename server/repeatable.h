// Whether a caller who lost the answer may simply make the call again.
#pragma once

#include <cstdint>

namespace tranche::server {

// kNo: looking first is needed, or an expectation in the request (expected_stock, expected_quota_version).
enum class Repeatable : uint8_t { kYes, kNo };

}  // namespace tranche::server
