// PASETO v4.local (https://github.com/paseto-standard/paseto-spec, Version 4): encrypted and authenticated text.
// XChaCha20 and keyed BLAKE2b by libsodium.
//
// Thread-safe. A text has one form only: base64url without padding and without bits that say nothing.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace tranche::server {

inline constexpr size_t kPasetoKeyBytes = 32;

// `key` has kPasetoKeyBytes. The footer can be read by everybody; the assertion is not sent.
std::string SealPaseto(absl::string_view key, absl::string_view message, absl::string_view footer,
                       absl::string_view assertion);
// With this nonce of 32 bytes: for the standard's test vectors only.
std::string SealPasetoWithNonce(absl::string_view key, absl::string_view nonce, absl::string_view message,
                                absl::string_view footer, absl::string_view assertion);

// What the text claims to be its footer; nullopt if it is no such text.
std::optional<std::string> PasetoFooter(absl::string_view token);
// The message; nullopt: it was made with another key, footer or assertion, or altered. Compares in constant time.
std::optional<std::string> OpenPaseto(absl::string_view key, absl::string_view token, absl::string_view assertion);

}  // namespace tranche::server
