#include "storage/uuid.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace tranche::storage {
namespace {

constexpr uint8_t kNoHex = 0xFF;

constexpr std::array<uint8_t, 256> HexValues() {
  std::array<uint8_t, 256> values = {};
  values.fill(kNoHex);
  for (uint8_t i = 0; i < 10; ++i) values[static_cast<uint8_t>('0' + i)] = i;
  for (uint8_t i = 0; i < 6; ++i) {
    values[static_cast<uint8_t>('a' + i)] = values[static_cast<uint8_t>('A' + i)] = static_cast<uint8_t>(10 + i);
  }
  return values;
}
constexpr std::array<uint8_t, 256> kHexValues = HexValues();

// Where the two digits of each byte are, between the hyphens.
constexpr std::array<uint8_t, 16> kDigitsAt = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};

}  // namespace

std::optional<Uuid> Uuid::Parse(absl::string_view text) {
  if (text.size() != 36) return std::nullopt;
  if (text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-') return std::nullopt;
  Uuid uuid;
  uint8_t wrong = 0;
  for (size_t i = 0; i < uuid.bytes.size(); ++i) {
    const uint8_t high = kHexValues[static_cast<uint8_t>(text[kDigitsAt[i]])];
    const uint8_t low = kHexValues[static_cast<uint8_t>(text[kDigitsAt[i] + 1])];
    wrong |= (high | low) & 0xF0;
    uuid.bytes[i] = static_cast<uint8_t>(high << 4 | low);
  }
  if (wrong != 0) return std::nullopt;
  return uuid;
}

std::string Uuid::ToString() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(36);
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text.push_back('-');
    text.push_back(kDigits[bytes[i] >> 4]);
    text.push_back(kDigits[bytes[i] & 15]);
  }
  return text;
}

}  // namespace tranche::storage
