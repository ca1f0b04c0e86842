// What an operator can do about a PostgreSQL that cannot be used, beyond what its own refusal says.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace tranche::server {

// Where a password belongs, if the refusal is for want of the right one; otherwise "".
std::string PasswordAdvice(absl::string_view refusal);

// For a process that starts: ": start it, or correct --postgres", or what fits better; "" if the refusal says already
// what to do. To be put behind it.
std::string StartAdvice(absl::string_view refusal);

}  // namespace tranche::server
