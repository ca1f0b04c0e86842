// Work that a browser does before it gets a purchase token: ALTCHA, version 2 of its format, with PBKDF2/SHA-256.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/admission/front_keys.h"

namespace tranche::server {

inline constexpr size_t kMaxSolutionBytes = 4096;

struct IssuedChallenge {
  std::string json;  // for the widget
  absl::Time expires_at;
};

// Bound to the SKU and the user. nullopt: there is no current key.
std::optional<IssuedChallenge> IssueChallenge(const FrontKeys& keys, absl::string_view sku_id,
                                              absl::string_view user_id, int bits, absl::Duration lifetime,
                                              absl::Time now);

// "" if it is solved; otherwise why not, in a word: "unreadable", "expired", "not_for_this", "too_easy" or "wrong".
// Checks what is cheap first: the work is verified only of a challenge that this system has made. `bits`: what is asked
// now; a challenge with fewer is too easy.
std::string ChallengeProblem(const FrontKeys& keys, absl::string_view solution, absl::string_view sku_id,
                             absl::string_view user_id, int bits, absl::Time now);

}  // namespace tranche::server
