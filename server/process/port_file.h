// Tells a parent process where we listen.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace tranche::server {

// Writes the port and a newline; whoever sees the file sees all of it.
absl::Status WritePortFile(const std::string& path, int port);

}  // namespace tranche::server
