// The checks that every implementation of Coordination makes before it asks any server, so that all refuse the same.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace tranche::quota {

// kInvalidArgument unless `path` is "/" or "/a/b/c", without empty, "." and ".." parts and without control characters.
absl::Status CheckPath(const std::string& path);

// CheckPath, and kInvalidArgument if `data` is longer than kMaxZnodeBytes.
absl::Status CheckWrite(const std::string& path, const std::string& data);

}  // namespace tranche::quota
