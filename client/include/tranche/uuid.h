// Reservation ids.
#pragma once

#include <string>

namespace tranche {

// A new UUID of version 7 (RFC 9562): 36 characters, lower case. Later ids sort later (to the millisecond), which keeps
// the ledger's primary key compact. Thread-safe.
std::string MakeUuidV7();

}  // namespace tranche
