#include "server/admission/lottery.h"

#include <sodium.h>

#include <array>

#include "absl/numeric/int128.h"
#include "server/admission/keyed_hash.h"
#include "storage/ledger/front_ledger.h"

namespace tranche::server {

uint64_t Rank(absl::string_view round_key, absl::string_view policy_sku_id, int64_t round, absl::string_view user_id) {
  const std::array<unsigned char, 32> hash = HmacSha256(
      round_key,
      LengthDelimited({"tranche-rank-v1", policy_sku_id, BigEndian64(static_cast<uint64_t>(round)), user_id}));
  return FromBigEndian64({reinterpret_cast<const char*>(hash.data()), hash.size()});
}

uint64_t Threshold(int32_t admitted_per_million) {
  if (admitted_per_million >= storage::kEverybody) return UINT64_MAX;
  if (admitted_per_million <= 0) return 0;
  return absl::Uint128Low64(absl::MakeUint128(static_cast<uint64_t>(admitted_per_million), 0) / storage::kEverybody);
}

uint64_t PartOfThreshold(uint64_t threshold, int percent) {
  // Also for everybody, whose threshold is no number of ranks.
  if (percent >= kWholeLottery) return threshold;
  if (percent <= 0) return 0;
  return absl::Uint128Low64(absl::uint128(threshold) * static_cast<uint64_t>(percent) / uint64_t{kWholeLottery});
}

std::string Commitment(absl::string_view round_key) {
  UseSodium();
  std::string hash(crypto_hash_sha256_BYTES, '\0');
  crypto_hash_sha256(reinterpret_cast<unsigned char*>(hash.data()), SodiumBytes(round_key), round_key.size());
  return hash;
}

}  // namespace tranche::server
