// Reservation ids.
#pragma once

#include <string>

#include "tranche/export.h"

namespace tranche {

// A new UUID of version 7 (RFC 9562): 36 characters, lower case. Later ids sort later (to the millisecond), which keeps
// the ledger's primary key compact. Thread-safe.
TRANCHE_EXPORT std::string MakeUuidV7();

}  // namespace tranche
