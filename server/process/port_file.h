// Tells a parent process where we listen.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tranche::server {

// Writes the port and a newline atomically: a reader never sees a part of the file. `flag` names the path's option, for
// the error.
absl::Status WritePortFile(const std::string& path, int port, absl::string_view flag = "--port-file");

}  // namespace tranche::server
