#include "client/reconcile/statement_line.h"

#include "absl/strings/ascii.h"

namespace tranche::reconcile {
namespace {

constexpr std::array<int8_t, 256> HexValues() {
  std::array<int8_t, 256> values{};
  for (int8_t& value : values) value = -1;
  for (int i = 0; i < 10; ++i) values['0' + i] = static_cast<int8_t>(i);
  for (int i = 0; i < 6; ++i) values['a' + i] = values['A' + i] = static_cast<int8_t>(10 + i);
  return values;
}
constexpr std::array<int8_t, 256> kHexValues = HexValues();

// Where in the text each byte's two digits are.
constexpr std::array<uint8_t, 16> kBytePositions = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};

}  // namespace

std::optional<ReservationId> ParseReservationId(absl::string_view text) {
  if (text.size() != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-') return std::nullopt;
  ReservationId id;
  int bad = 0;
  for (size_t i = 0; i < id.size(); ++i) {
    const int high = kHexValues[static_cast<uint8_t>(text[kBytePositions[i]])];
    const int low = kHexValues[static_cast<uint8_t>(text[kBytePositions[i] + 1])];
    bad |= high | low;  // negative when one of them is
    id[i] = static_cast<uint8_t>(static_cast<unsigned>(high) << 4 | static_cast<unsigned>(low));
  }
  if (bad < 0) return std::nullopt;
  return id;
}

std::string FormatReservationId(const ReservationId& id) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text(36, '-');
  for (size_t i = 0; i < id.size(); ++i) {
    text[kBytePositions[i]] = kDigits[id[i] >> 4];
    text[kBytePositions[i] + 1] = kDigits[id[i] & 15];
  }
  return text;
}

std::optional<Currency> Currency::Parse(absl::string_view text) {
  Currency currency;
  if (text.size() != currency.code.size()) return std::nullopt;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!absl::ascii_isalpha(static_cast<unsigned char>(text[i]))) return std::nullopt;
    currency.code[i] = absl::ascii_toupper(static_cast<unsigned char>(text[i]));
  }
  return currency;
}

}  // namespace tranche::reconcile
