// Tells a parent process where we listen.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace tranche::server {

// Writes the port and a newline atomically: a reader never sees a part of the file.
absl::Status WritePortFile(const std::string& path, int port);

}  // namespace tranche::server
