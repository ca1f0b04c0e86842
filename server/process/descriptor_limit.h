// How many files and sockets this process may have open.
#pragma once

#include <cstdint>

namespace tranche::server {

// Raises the soft limit to the hard one. The soft limit is 1,024 on many systems, for the sake of programs that use
// select(); nothing here does.
void RaiseDescriptorLimit();

// The soft limit.
uint64_t DescriptorLimit();

}  // namespace tranche::server
