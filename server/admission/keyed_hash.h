// Keyed hashes, and the bytes that they are taken of. By libsodium: it takes no lock and looks nothing up, which
// OpenSSL does in each call.
//
// All functions are thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "absl/strings/string_view.h"

namespace tranche::server {

// Comes before any other use of libsodium, which then chooses its fastest code for this machine. Costs nothing after
// the first time. Ends the process if this machine gives no randomness.
void UseSodium();

// Never null, also for an empty text.
const unsigned char* SodiumBytes(absl::string_view text);

// Each field behind its length as 4 bytes, big-endian: different fields never give the same text.
std::string LengthDelimited(std::initializer_list<absl::string_view> fields);
std::string BigEndian64(uint64_t number);
// The first 8 of the bytes; there must be so many.
uint64_t FromBigEndian64(absl::string_view bytes);

// BLAKE2b (RFC 7693) with a key of 16 to 64 bytes; `hash_bytes` is 16 to 64.
std::string KeyedBlake2b(absl::string_view key, absl::string_view message, size_t hash_bytes);
// HMAC (RFC 2104) with SHA-256.
std::array<unsigned char, 32> HmacSha256(absl::string_view key, absl::string_view message);

// Takes the same time wherever they differ. Their lengths are no secret.
bool SameBytes(absl::string_view one, absl::string_view other);

std::string RandomBytes(size_t count);

}  // namespace tranche::server
