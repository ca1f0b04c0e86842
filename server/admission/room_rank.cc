#include "server/admission/room_rank.h"

#include <algorithm>

#include "server/admission/lottery.h"

namespace tranche::server {

uint64_t ShuffledRank(absl::string_view round_key, absl::string_view policy_sku_id, int64_t round,
                      absl::string_view user_id) {
  return Rank(round_key, policy_sku_id, round, user_id) >> 1;
}

uint64_t LateRank(absl::Time joined_at) {
  return kFirstLateRank + static_cast<uint64_t>(std::max<int64_t>(absl::ToUnixMicros(joined_at), 0));
}

}  // namespace tranche::server
