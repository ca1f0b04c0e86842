#include "storage/base/access_token.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "glog/logging.h"

namespace tranche {
namespace {

constexpr char kTokenPrefix[] = "trt_";
constexpr size_t kTokenRandomBytes = 32;
constexpr size_t kTokenRandomChars = 43;  // of base64, without padding

absl::string_view AsText(const unsigned char* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

std::string NewToken() {
  std::array<unsigned char, kTokenRandomBytes> random;
  CHECK_EQ(RAND_priv_bytes(random.data(), static_cast<int>(random.size())), 1) << "this machine gives no randomness";
  return absl::StrCat(kTokenPrefix, absl::WebSafeBase64Escape(AsText(random.data(), random.size())));
}

bool HasTokenForm(absl::string_view token) {
  return absl::ConsumePrefix(&token, kTokenPrefix) && token.size() == kTokenRandomChars;
}

TokenDigest DigestOfToken(absl::string_view token) {
  TokenDigest digest;
  unsigned int size = 0;
  CHECK_EQ(EVP_Digest(token.data(), token.size(), digest.data(), &size, EVP_sha256(), nullptr), 1);
  CHECK_EQ(size, digest.size());
  return digest;
}

std::string HexOf(const TokenDigest& digest) { return absl::BytesToHexString(AsText(digest.data(), digest.size())); }

}  // namespace tranche
