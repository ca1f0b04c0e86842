#include "server/admission/keyed_hash.h"

#include <sodium.h>

#include "glog/logging.h"

namespace tranche::server {

void UseSodium() {
  static const bool ready = sodium_init() >= 0;
  CHECK(ready) << "this machine gives no randomness";
}

const unsigned char* SodiumBytes(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data() == nullptr ? "" : text.data());
}

std::string LengthDelimited(std::initializer_list<absl::string_view> fields) {
  std::string all;
  size_t size = 0;
  for (const absl::string_view field : fields) size += 4 + field.size();
  all.reserve(size);
  for (const absl::string_view field : fields) {
    for (int shift = 24; shift >= 0; shift -= 8) all.push_back(static_cast<char>(field.size() >> shift));
    all.append(field.data(), field.size());
  }
  return all;
}

std::string BigEndian64(uint64_t number) {
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(number >> shift));
  return bytes;
}

uint64_t FromBigEndian64(absl::string_view bytes) {
  CHECK_GE(bytes.size(), sizeof(uint64_t));
  uint64_t number = 0;
  for (size_t i = 0; i < sizeof(uint64_t); ++i) number = number << 8 | static_cast<unsigned char>(bytes[i]);
  return number;
}

std::string KeyedBlake2b(absl::string_view key, absl::string_view message, size_t hash_bytes) {
  UseSodium();
  std::string hash(hash_bytes, '\0');
  CHECK_EQ(crypto_generichash(reinterpret_cast<unsigned char*>(hash.data()), hash.size(), SodiumBytes(message),
                              message.size(), SodiumBytes(key), key.size()),
           0);
  return hash;
}

std::array<unsigned char, 32> HmacSha256(absl::string_view key, absl::string_view message) {
  static_assert(crypto_auth_hmacsha256_BYTES == 32);
  UseSodium();
  crypto_auth_hmacsha256_state state;
  std::array<unsigned char, 32> hash;
  crypto_auth_hmacsha256_init(&state, SodiumBytes(key), key.size());
  crypto_auth_hmacsha256_update(&state, SodiumBytes(message), message.size());
  crypto_auth_hmacsha256_final(&state, hash.data());
  return hash;
}

bool SameBytes(absl::string_view one, absl::string_view other) {
  return one.size() == other.size() && sodium_memcmp(SodiumBytes(one), SodiumBytes(other), one.size()) == 0;
}

std::string RandomBytes(size_t count) {
  UseSodium();
  std::string bytes(count, '\0');
  randombytes_buf(bytes.data(), bytes.size());
  return bytes;
}

}  // namespace tranche::server
