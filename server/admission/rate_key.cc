#include "server/admission/rate_key.h"

#include <sodium.h>

#include <algorithm>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"

namespace tranche::server {

static_assert(crypto_shorthash_siphash24_KEYBYTES == 16 && crypto_shorthash_siphash24_BYTES == 8);

namespace {

// In the place of a kind.
constexpr unsigned char kWaiting = 0xff;
constexpr unsigned char kRefusals = 0xfe;
static_assert(static_cast<unsigned char>(RateKeyKind::kSku) < kRefusals);

// The kind, the length of the policy's id, that id, and the rest.
uint64_t HashName(const std::array<unsigned char, 16>& key, unsigned char kind, absl::string_view policy_sku_id,
                  absl::string_view rest) {
  // Names are short: no allocation.
  absl::InlinedVector<unsigned char, 512> name(1 + 4 + policy_sku_id.size() + rest.size());
  name[0] = kind;
  for (int i = 0; i < 4; ++i) name[1 + i] = static_cast<unsigned char>(policy_sku_id.size() >> (8 * i));
  const auto end = std::copy(policy_sku_id.begin(), policy_sku_id.end(), name.begin() + 5);
  std::copy(rest.begin(), rest.end(), end);
  std::array<unsigned char, crypto_shorthash_siphash24_BYTES> hash;
  crypto_shorthash_siphash24(hash.data(), name.data(), name.size(), key.data());
  // Not as this machine orders bytes: nodes of two kinds must agree.
  uint64_t number = 0;
  for (size_t i = hash.size(); i > 0; --i) number = number << 8 | hash[i - 1];
  return number;
}

}  // namespace

absl::string_view RateKeyName(RateKeyKind kind) {
  switch (kind) {
    case RateKeyKind::kUser:
      return "user";
    case RateKeyKind::kAddress:
      return "address";
    case RateKeyKind::kToken:
      return "token";
    case RateKeyKind::kSku:
      return "sku";
  }
  return "";
}

uint64_t HashRateKey(const std::array<unsigned char, 16>& key, RateKeyKind kind, absl::string_view policy_sku_id,
                     absl::string_view subject) {
  return HashName(key, static_cast<unsigned char>(kind), policy_sku_id, subject);
}

RateKeyHasher::RateKeyHasher() {
  // 1: somebody has done it before.
  CHECK_GE(sodium_init(), 0) << "libsodium cannot be used";
  randombytes_buf(key_.data(), key_.size());
}

RateFingerprint RateKeyHasher::Of(RateKeyKind kind, absl::string_view policy_sku_id, absl::string_view subject) const {
  return HashRateKey(key_, kind, policy_sku_id, subject);
}

RateFingerprint RateKeyHasher::OfRefusals(absl::string_view policy_sku_id, absl::string_view network) const {
  return HashName(key_, kRefusals, policy_sku_id, network);
}

RateFingerprint RateKeyHasher::OfWaiting(absl::string_view policy_sku_id, int64_t round,
                                         absl::string_view user_id) const {
  // The round has no colon.
  return HashName(key_, kWaiting, policy_sku_id, absl::StrCat(round, ":", user_id));
}

}  // namespace tranche::server
