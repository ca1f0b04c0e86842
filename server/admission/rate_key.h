// Names of rate-limited things, and their fingerprints.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "server/admission/rate_table.h"

namespace tranche::server {

enum class RateKeyKind : uint8_t { kUser, kAddress, kToken, kSku };
inline constexpr RateKeyKind kRateKeyKinds[] = {RateKeyKind::kUser, RateKeyKind::kAddress, RateKeyKind::kToken,
                                                RateKeyKind::kSku};
// "user", "address", "token", "sku".
absl::string_view RateKeyName(RateKeyKind kind);

// SipHash-2-4 (Aumasson, Bernstein 2012; libsodium's) of a thing's full name. Each name has a form of its own: no two
// have the same bytes. The same at every node that has the same key.
uint64_t HashRateKey(const std::array<unsigned char, 16>& key, RateKeyKind kind, absl::string_view policy_sku_id,
                     absl::string_view subject);

// A keyed hash (SipHash-2-4 of libsodium), so that nobody outside can choose keys that meet in one set. Thread-safe.
class RateKeyHasher {
 public:
  // With a random key.
  RateKeyHasher();
  // `policy_sku_id` keeps the counts of two policies apart.
  RateFingerprint Of(RateKeyKind kind, absl::string_view policy_sku_id, absl::string_view subject) const;
  // Of what a policy has refused to a network (network_refusals.h). No limit has this one.
  RateFingerprint OfRefusals(absl::string_view policy_sku_id, absl::string_view network) const;
  // Of who waits in a round of a room: when they were counted. No limit has this one.
  RateFingerprint OfWaiting(absl::string_view policy_sku_id, int64_t round, absl::string_view user_id) const;

 private:
  std::array<unsigned char, 16> key_;
};

}  // namespace tranche::server
