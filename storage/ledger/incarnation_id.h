// Who holds units and who commits: one run of one front node, or nobody.
#pragma once

#include <cstdint>

namespace tranche::storage {

// One run of one front node. Positive; from a sequence of the ledger, never reused.
using IncarnationId = int64_t;
// As a holder: the pool, which no incarnation holds.
inline constexpr IncarnationId kPool = 0;

}  // namespace tranche::storage
