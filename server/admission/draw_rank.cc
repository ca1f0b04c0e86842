#include "server/admission/draw_rank.h"

#include <array>

#include "glog/logging.h"
#include "server/admission/keyed_hash.h"

namespace tranche::server {
namespace {

constexpr size_t kBlockBytes = 64;  // of SHA-256

std::string Hmac(absl::string_view key, absl::string_view message) {
  const std::array<unsigned char, 32> hash = HmacSha256(key, message);
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

// The key, filled up with zeros to a block, with each byte changed by `pad`.
std::string Padded(absl::string_view key, char pad) {
  std::string block(kBlockBytes, pad);
  for (size_t i = 0; i < key.size(); ++i) block[i] = static_cast<char>(block[i] ^ key[i]);
  return block;
}

}  // namespace

std::string DrawRankKey(const storage::Draw& draw) {
  return Hmac(draw.seed,
              LengthDelimited({"tranche-draw-v1", draw.key.sku_id, BigEndian64(static_cast<uint64_t>(draw.key.number)),
                               BigEndian64(static_cast<uint64_t>(draw.entries)), draw.merkle_root}));
}

std::string DrawRank(absl::string_view key, const storage::Uuid& entry_id) {
  return Hmac(key, {reinterpret_cast<const char*>(entry_id.bytes.data()), entry_id.bytes.size()});
}

storage::HmacBlocks DrawHmacBlocks(absl::string_view key) {
  CHECK_LE(key.size(), kBlockBytes) << "longer keys are hashed first";
  return {.inner = Padded(key, 0x36), .outer = Padded(key, 0x5c)};
}

}  // namespace tranche::server
