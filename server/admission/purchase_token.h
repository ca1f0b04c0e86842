// A purchase token lets one buyer claim one SKU, for a short time. It is a PASETO v4.local: docs/front-door.md says
// why.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/admission/front_keys.h"

namespace tranche::server {

// Longer texts are no tokens.
inline constexpr size_t kMaxPurchaseTokenBytes = 512;

struct PurchaseToken {
  std::string text;
  absl::Time expires_at;
};

// "" if there is no current key. Footer: the key's id, in decimal. Message: purpose, expiry in ms, and the random id.
// Assertion: the purpose, sku_id and user_id behind their lengths. SKU and user are bound by it, and not sent.
PurchaseToken MakePurchaseToken(const FrontKeys& keys, absl::string_view sku_id, absl::string_view user_id,
                                absl::Duration lifetime, absl::Time now);

enum class TokenProblem {
  kNone,
  kExpired,
  kNotForThis,  // made for another SKU or user, or altered: the two cannot be told apart
  kUnreadable,  // no token, or made with a key that is gone
};

struct TokenReading {
  TokenProblem problem = TokenProblem::kUnreadable;
  std::string id;  // kNone: the token's own 16 random bytes, for limits by token
};

// Good until, and not at, the expiry. Thread-safe.
TokenReading ReadPurchaseToken(const FrontKeys& keys, absl::string_view text, absl::string_view sku_id,
                               absl::string_view user_id, absl::Time now);

}  // namespace tranche::server
