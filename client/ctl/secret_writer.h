// Writes a secret into a file of its own.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace tranche::ctl {

// A file that only its owner can read, and that was not there. Nothing is left of it if it cannot be written.
absl::Status WriteNewSecret(const std::string& path, const std::string& text);

}  // namespace tranche::ctl
