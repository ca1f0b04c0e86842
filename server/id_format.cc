#include "server/id_format.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "server/plain_utf8.h"

namespace tranche::server {
namespace {

constexpr std::array<bool, 256> SkuIdCharacters() {
  std::array<bool, 256> allowed{};
  for (int c = '0'; c <= '9'; ++c) allowed[c] = true;
  for (int c = 'A'; c <= 'Z'; ++c) allowed[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) allowed[c] = true;
  allowed['.'] = allowed['_'] = allowed['-'] = true;
  return allowed;
}
constexpr std::array<bool, 256> kSkuIdCharacters = SkuIdCharacters();

}  // namespace

bool IsSkuId(absl::string_view text) {
  // "." and ".." are not valid names of znodes.
  return !text.empty() && text.size() <= 64 && text != "." && text != ".." &&
         std::all_of(text.begin(), text.end(), [](char c) { return kSkuIdCharacters[static_cast<uint8_t>(c)]; });
}

bool IsUserId(absl::string_view text) { return !text.empty() && text.size() <= 128 && IsPlainUtf8(text); }

}  // namespace tranche::server
