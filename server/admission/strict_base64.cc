#include "server/admission/strict_base64.h"

#include <sodium.h>

#include <cstddef>

#include "server/admission/keyed_hash.h"

namespace tranche::server {
namespace {

std::optional<std::string> FromBase64Variant(absl::string_view text, int variant) {
  UseSodium();
  std::string bytes(text.size() / 4 * 3 + 3, '\0');
  size_t size = 0;
  if (sodium_base642bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), text.data(), text.size(),
                        /*ignore=*/nullptr, &size, /*b64_end=*/nullptr, variant) != 0) {
    return std::nullopt;
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace

std::optional<std::string> FromBase64Url(absl::string_view text) {
  return FromBase64Variant(text, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

std::optional<std::string> FromPaddedBase64(absl::string_view text) {
  return FromBase64Variant(text, sodium_base64_VARIANT_ORIGINAL);
}

}  // namespace tranche::server
