#include "client/reconcile/totals.h"

#include <algorithm>

#include "client/reconcile/currency.h"

namespace tranche::reconcile {

std::string ToText(absl::int128 number) {
  const bool negative = number < 0;
  absl::uint128 rest = negative ? absl::uint128(0) - absl::uint128(number) : absl::uint128(number);
  std::string text;
  do {
    text.push_back(static_cast<char>('0' + static_cast<int>(rest % 10)));
    rest /= 10;
  } while (rest > 0);
  if (negative) text.push_back('-');
  std::reverse(text.begin(), text.end());
  return text;
}

std::string FormatAmount(absl::int128 minor, const Currency& currency) {
  const auto decimals = static_cast<size_t>(DecimalsOf(currency.text()));
  std::string digits = ToText(minor < 0 ? -minor : minor);
  if (digits.size() <= decimals) digits.insert(0, decimals + 1 - digits.size(), '0');
  if (decimals > 0) digits.insert(digits.size() - decimals, 1, '.');
  return minor < 0 ? "-" + digits : digits;
}

}  // namespace tranche::reconcile
