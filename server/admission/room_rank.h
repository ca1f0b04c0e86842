// A buyer's rank in a waiting room: one number for each buyer, the same at each node.
//
//   [0, 2^63)     those who joined before the sale opened, shuffled by the round's key
//   [2^63, 2^64)  those who joined later: 2^63 + the microseconds since 1970 at which they did
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace tranche::server {

inline constexpr uint64_t kFirstLateRank = uint64_t{1} << 63;

// The first 63 bits of what Rank (lottery.h) has 64 of. scripts/verify_rank.py --room computes it, too.
uint64_t ShuffledRank(absl::string_view round_key, absl::string_view policy_sku_id, int64_t round,
                      absl::string_view user_id);

// A time before 1970 counts as 1970.
uint64_t LateRank(absl::Time joined_at);

}  // namespace tranche::server
