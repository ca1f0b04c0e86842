// One number for each buyer, one threshold for each SKU.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace tranche::server {

// The first 64 bits, as a big-endian number, of HMAC-SHA256 with the round's key over "tranche-rank-v1", the policy's
// SKU id, the round and the user id, each behind its length as 4 bytes, big-endian. The round is a field of 8 bytes,
// big-endian. The same for each try and each node. scripts/verify_rank.py computes it, too.
uint64_t Rank(absl::string_view round_key, absl::string_view policy_sku_id, int64_t round, absl::string_view user_id);

// floor(per_million * 2^64 / 1,000,000); 2^64 - 1 for everybody.
uint64_t Threshold(int32_t admitted_per_million);

// The threshold of everybody admits each rank, also 2^64 - 1, which is not below it.
inline bool Admits(uint64_t threshold, uint64_t rank) { return rank < threshold || threshold == UINT64_MAX; }

// The threshold of so many percent, 0 to 100, of those whom this one admits: the lowest ranks stay admitted.
inline constexpr int kWholeLottery = 100;
uint64_t PartOfThreshold(uint64_t threshold, int percent);

// SHA-256, 32 bytes.
std::string Commitment(absl::string_view round_key);

}  // namespace tranche::server
