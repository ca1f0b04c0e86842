// Translates the ZooKeeper client's return codes.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tranche::quota {

// The status for `rc` as coordination.h promises it; OK for ZOK. `what` names the operation and the path.
absl::Status ZookeeperStatus(int rc, absl::string_view what);

}  // namespace tranche::quota
