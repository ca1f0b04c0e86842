// Bearer tokens: 256 random bits that stand for a principal of an access file (access_policy.h).
#pragma once

#include <array>
#include <string>

#include "absl/strings/string_view.h"

namespace tranche {

// SHA-256.
using TokenDigest = std::array<unsigned char, 32>;

// A new token: "trt_" and 43 letters, digits, "-" and "_" (base64url without padding). From OpenSSL's generator for
// private values. Thread-safe. The prefix lets scanners find tokens that were committed or logged by mistake.
std::string NewToken();

// Whether NewToken may have made it, by its beginning and its length. Otherwise it is no token: the hash of a word that
// somebody has thought of can be found by trying.
bool HasTokenForm(absl::string_view token);

// Thread-safe. A plain hash is enough for a token, unlike for a password: nobody can try 2^256 of them.
TokenDigest DigestOfToken(absl::string_view token);
// In hex, as the access file has it.
std::string HexOf(const TokenDigest& digest);

}  // namespace tranche
