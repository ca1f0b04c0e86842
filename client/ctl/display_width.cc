#include "client/ctl/display_width.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace tranche::ctl {
namespace {

struct CodePoints {
  uint32_t first;
  uint32_t last;
};

// By Unicode's EastAsianWidth (W and F) and its emoji presentation, in blocks. Ascending.
constexpr CodePoints kWide[] = {
    {0x1100, 0x115f},   {0x231a, 0x231b},   {0x23e9, 0x23ec},   {0x2614, 0x2615},   {0x26a1, 0x26a1},
    {0x2705, 0x2705},   {0x274c, 0x274c},   {0x2753, 0x2755},   {0x2795, 0x2797},   {0x2b50, 0x2b50},
    {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xa000, 0xa4cf},
    {0xa960, 0xa97f},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},
    {0xffe0, 0xffe6},   {0x1f004, 0x1f004}, {0x1f18e, 0x1f18e}, {0x1f191, 0x1f19a}, {0x1f200, 0x1f320},
    {0x1f32d, 0x1f5ff}, {0x1f600, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x1fa70, 0x1faff},
    {0x20000, 0x3fffd},
};
// Combining marks, joiners and variation selectors. Ascending.
constexpr CodePoints kNoWidth[] = {
    {0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x0610, 0x061a},   {0x064b, 0x065f},
    {0x093a, 0x093a}, {0x093c, 0x093c}, {0x0e31, 0x0e31}, {0x0e34, 0x0e3a},   {0x0e47, 0x0e4e},
    {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200f}, {0x20d0, 0x20ff},   {0x302a, 0x302d},
    {0x3099, 0x309a}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0x1f3fb, 0x1f3ff},
};

template <size_t size>
bool IsIn(const CodePoints (&ranges)[size], uint32_t code) {
  const auto* range = std::lower_bound(std::begin(ranges), std::end(ranges), code,
                                       [](const CodePoints& one, uint32_t point) { return one.last < point; });
  return range != std::end(ranges) && range->first <= code;
}

// The bytes of the character that begins with this one.
size_t LengthOf(unsigned char lead) {
  if (lead >= 0xf0) return 4;
  if (lead >= 0xe0) return 3;
  return lead >= 0xc0 ? 2 : 1;
}

size_t WidthOf(uint32_t code) {
  if (code < 0x300) return 1;
  if (IsIn(kNoWidth, code)) return 0;
  return IsIn(kWide, code) ? 2 : 1;
}

}  // namespace

size_t DisplayWidth(absl::string_view text) {
  size_t width = 0;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = LengthOf(lead);
    uint32_t code = length == 1 ? lead : lead & (0xffu >> (length + 1));
    size_t read = 1;
    for (; read < length && i + read < text.size() && (static_cast<unsigned char>(text[i + read]) & 0xc0) == 0x80;
         ++read) {
      code = code << 6 | (static_cast<unsigned char>(text[i + read]) & 0x3f);
    }
    width += read == length ? WidthOf(code) : 1;
    i += read;
  }
  return width;
}

}  // namespace tranche::ctl
