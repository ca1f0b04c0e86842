// The machine that a process runs on.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace tranche::server {

// Whether it means every address of the machine.
bool IsWildcard(absl::string_view host);

// This machine's name; "localhost" if it has none.
std::string HostName();

}  // namespace tranche::server
