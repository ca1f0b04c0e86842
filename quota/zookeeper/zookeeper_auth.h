// Who a session is for ZooKeeper's access control: USER:PASSWORD, from a file.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tranche::quota {

// The line of the file (storage/base/secret_file.h), for ZooKeeper's scheme "digest". Secret. kInvalidArgument, with
// what is wrong and never with what is in the file, unless it is USER:PASSWORD in printable ASCII without spaces;
// otherwise the errors of reading.
absl::StatusOr<std::string> ReadZookeeperAuth(const std::string& path);

}  // namespace tranche::quota
