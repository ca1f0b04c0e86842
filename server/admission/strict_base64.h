// Base64 of which each text of bytes has one form: otherwise whoever holds a token could write it in several ways.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace tranche::server {

// Of the alphabet for URLs, without padding. nullopt: something else, also if bits are set that say nothing.
// Thread-safe.
std::optional<std::string> FromBase64Url(absl::string_view text);
// Of the standard alphabet, with padding, as browsers make it.
std::optional<std::string> FromPaddedBase64(absl::string_view text);

}  // namespace tranche::server
