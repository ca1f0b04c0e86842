#include "server/plain_utf8.h"

#include <cstdint>

namespace tranche::server {
namespace {

// Reads one multi-byte character from the front of `text`; 0 if it is malformed, otherwise its code point.
uint32_t DecodeMultibyte(absl::string_view text, size_t* length) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  uint32_t least = 0;
  uint32_t code_point = 0;
  if (lead >= 0xC2 && lead <= 0xDF) {
    *length = 2, least = 0x80, code_point = lead & 0x1F;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    *length = 3, least = 0x800, code_point = lead & 0x0F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    *length = 4, least = 0x10000, code_point = lead & 0x07;
  } else {
    return 0;
  }
  if (text.size() < *length) return 0;
  for (size_t i = 1; i < *length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code_point = code_point << 6 | (byte(i) & 0x3F);
  }
  const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
  return code_point < least || code_point > 0x10FFFF || surrogate ? 0 : code_point;
}

}  // namespace

bool IsPlainUtf8(absl::string_view text) {
  while (!text.empty()) {
    const uint8_t first = static_cast<uint8_t>(text.front());
    if (first < 0x80) {
      if (first < 0x20 || first == 0x7F) return false;
      text.remove_prefix(1);
      continue;
    }
    size_t length = 0;
    // U+0080 to U+009F are control characters too.
    if (DecodeMultibyte(text, &length) < 0xA0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace tranche::server
