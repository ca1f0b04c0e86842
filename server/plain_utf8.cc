#include "server/plain_utf8.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

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

// Takes one character off the front of `text`; 0 if it is malformed or a control character, otherwise its code point.
uint32_t TakePlain(absl::string_view* text) {
  const uint8_t first = static_cast<uint8_t>(text->front());
  if (first < 0x80) {
    text->remove_prefix(1);
    return first < 0x20 || first == 0x7F ? 0 : first;
  }
  size_t length = 0;
  const uint32_t code_point = DecodeMultibyte(*text, &length);
  // U+0080 to U+009F are control characters too.
  if (code_point < 0xA0) return 0;
  text->remove_prefix(length);
  return code_point;
}

struct Range {
  uint32_t first, last;
};
constexpr Range kInvisible[] = {
    {0x00AD, 0x00AD}, {0x034F, 0x034F}, {0x061C, 0x061C}, {0x115F, 0x1160},   {0x17B4, 0x17B5},   {0x180B, 0x180F},
    {0x200B, 0x200F}, {0x2028, 0x202E}, {0x2060, 0x206F}, {0x2800, 0x2800},   {0x3164, 0x3164},   {0xFE00, 0xFE0F},
    {0xFEFF, 0xFEFF}, {0xFFA0, 0xFFA0}, {0xFFF0, 0xFFFB}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF},
};
constexpr Range kDirectionMarks[] = {
    {0x061C, 0x061C},
    {0x200E, 0x200F},
    {0x202A, 0x202E},
    {0x2066, 0x2069},
};
constexpr Range kSpaces[] = {
    {0x0020, 0x0020}, {0x00A0, 0x00A0}, {0x1680, 0x1680}, {0x2000, 0x200A},
    {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000},
};

template <size_t kSize>
bool IsIn(const Range (&ranges)[kSize], uint32_t code_point) {
  return std::any_of(std::begin(ranges), std::end(ranges), [code_point](const Range& range) {
    return range.first <= code_point && code_point <= range.last;
  });
}

// Nearly all ids are of these characters: each claim's are looked at, also of those that are refused in a rush.
bool IsGraphicAscii(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
}

}  // namespace

bool IsPlainUtf8(absl::string_view text) {
  if (IsGraphicAscii(text)) return true;
  while (!text.empty()) {
    if (TakePlain(&text) == 0) return false;
  }
  return true;
}

bool IsVisibleUtf8(absl::string_view text) {
  if (IsGraphicAscii(text)) return !text.empty();
  bool any = false;
  while (!text.empty()) {
    const uint32_t code_point = TakePlain(&text);
    if (code_point == 0 || IsIn(kInvisible, code_point)) return false;
    any = any || !IsIn(kSpaces, code_point);
  }
  return any;
}

bool HasDirectionMarks(absl::string_view text) {
  while (!text.empty()) {
    const uint32_t code_point = TakePlain(&text);
    if (code_point == 0) return false;
    if (IsIn(kDirectionMarks, code_point)) return true;
  }
  return false;
}

}  // namespace tranche::server
