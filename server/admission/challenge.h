// Work that a browser does before it gets a purchase token: ALTCHA, version 2 of its format, with PBKDF2/SHA-256.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/admission/front_keys.h"

namespace tranche::server {

inline constexpr size_t kMaxSolutionBytes = 4096;

// What one key costs, in iterations of PBKDF2. Whoever verifies computes one key, about 0.1 ms. More would let senders
// of wrong solutions use up this node's processors; fewer would favour native code, since each key also costs a browser
// a call of its cryptography.
inline constexpr int kChallengeIterations = 320;

// A challenge of so many bits costs as much as 2^bits keys. ALTCHA asks for hex digits, of 4 bits each: 11, 10 and 9
// bits are 12 with a half, a quarter and an eighth of the iterations. So one bit more is twice the work.
inline constexpr int kLeastChallengeBits = 4;
inline constexpr int kMostChallengeBits = 20;

// Only one that stands in for a captcha earns where a captcha is asked for: otherwise it would be the cheaper way.
enum class ChallengeRole : uint8_t { kPlain, kStandsIn };

struct IssuedChallenge {
  std::string json;  // for the widget
  absl::Time expires_at;
};

// Bound to the SKU, the user and the role by a keyed hash, so that it tells none of them. `bits` outside of the limits
// count as the limit. Expires at a whole second. nullopt: there is no current key. Thread-safe; at most 5 us are the
// goal (tests/benchmark/admission_crypto_benchmark.cc).
std::optional<IssuedChallenge> IssueChallenge(const FrontKeys& keys, absl::string_view sku_id,
                                              absl::string_view user_id, int bits, absl::Duration lifetime,
                                              absl::Time now, ChallengeRole role = ChallengeRole::kPlain);

// "" if it is solved; otherwise why not, in a word: "unreadable", "expired", "not_for_this", "too_easy" or "wrong".
// Checks what is cheap first: the work is verified only of a challenge that this system has made. `bits`: what is asked
// now; a challenge with fewer is too easy. `role`: what it must be; one that stands in is taken for a plain one, too,
// and a plain one is not_for_this where it must stand in. Thread-safe; about 0.1 ms, and at most 0.15 ms are the goal.
//
// A solution may be shown again until it expires. It earns nothing but a token for the same user and SKU.
std::string ChallengeProblem(const FrontKeys& keys, absl::string_view solution, absl::string_view sku_id,
                             absl::string_view user_id, int bits, absl::Time now,
                             ChallengeRole role = ChallengeRole::kPlain);

}  // namespace tranche::server
