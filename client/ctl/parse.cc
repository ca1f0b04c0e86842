#include "client/ctl/parse.h"

#include <algorithm>
#include <cctype>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "client/reconcile/currency.h"
#include "storage/base/address.h"
#include "storage/base/status_macros.h"

namespace tranche::ctl {
namespace {

bool AllDigits(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

// Of the UTF-8 character that begins there, in bytes; 0 if none does, or a control character.
size_t LengthOfCharAt(const std::string& text, size_t at) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned lead = byte(at);
  if (lead < 0x80) return lead < 0x20 || lead == 0x7F ? 0 : 1;
  const size_t length = lead >= 0xC2 && lead < 0xE0   ? 2
                        : lead >= 0xE0 && lead < 0xF0 ? 3
                        : lead >= 0xF0 && lead < 0xF5 ? 4
                                                      : 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return 0;
  }
  return lead == 0xC2 && byte(at + 1) < 0xA0 ? 0 : length;
}

// Of UTF-8: U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069. Nodes leave out a reason that has one.
bool IsDirectionMark(absl::string_view character) {
  if (character == "\xd8\x9c") return true;
  if (character.size() != 3 || character[0] != '\xe2') return false;
  const auto last = static_cast<unsigned char>(character[2]);
  if (character[1] == '\x81') return last >= 0xA6 && last <= 0xA9;
  return character[1] == '\x80' && (last == 0x8E || last == 0x8F || (last >= 0xAA && last <= 0xAE));
}

}  // namespace

absl::StatusOr<absl::Duration> ParseDuration(const std::string& text) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration) || duration <= absl::ZeroDuration() ||
      duration == absl::InfiniteDuration()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not a duration such as 90s, 15m or 1h30m"));
  }
  return duration;
}

absl::StatusOr<int64_t> ParseWholeSeconds(const std::string& text) {
  ASSIGN_OR_RETURN(const absl::Duration duration, ParseDuration(text));
  const int64_t seconds = absl::ToInt64Seconds(duration);
  if (absl::Seconds(seconds) != duration) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" must be whole seconds"));
  }
  return seconds;
}

absl::StatusOr<absl::Time> ParseTime(const std::string& text) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &error)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not a time such as 2026-11-27T09:00:00Z"));
  }
  return time;
}

absl::StatusOr<absl::Time> ParseWhen(const std::string& text, absl::Time now) {
  if (const auto time = ParseTime(text); time.ok()) return time;
  if (const auto ago = ParseDuration(text); ago.ok()) return now - *ago;
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\" is neither a time such as 2026-11-27T09:00:00Z, nor a duration such as 2h"));
}

absl::StatusOr<std::string> ParseReason(const std::string& text) {
  constexpr int kMaxChars = 200;
  int chars = 0;
  for (size_t at = 0; at < text.size(); ++chars) {
    const size_t length = LengthOfCharAt(text, at);
    if (length == 0 || IsDirectionMark(absl::string_view(text).substr(at, length))) {
      return absl::InvalidArgumentError("the reason must be UTF-8 without control characters or marks of direction");
    }
    at += length;
  }
  if (chars > kMaxChars) {
    return absl::InvalidArgumentError(absl::StrCat("the reason must be at most ", kMaxChars, " characters"));
  }
  return text;
}

absl::StatusOr<int64_t> ParsePriceMinor(const std::string& text, const std::string& currency) {
  const size_t dot = text.find('.');
  const std::string whole = text.substr(0, dot);
  std::string fraction = dot == std::string::npos ? "" : text.substr(dot + 1);
  const size_t decimals = static_cast<size_t>(reconcile::DecimalsOf(currency));
  const bool form_ok =
      !whole.empty() && AllDigits(whole) && AllDigits(fraction) && (dot == std::string::npos || !fraction.empty());
  if (absl::StrContains(text, ',')) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\": write prices with a point and without commas, as 19.99"));
  }
  if (!form_ok || fraction.size() > decimals) {
    const std::string example = FormatPrice(1999, currency);
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not a price in ", currency, ", such as ",
                                                   example.substr(0, example.find(' '))));
  }
  fraction.resize(decimals, '0');
  int64_t minor = 0;
  if (!absl::SimpleAtoi(whole + fraction, &minor)) {
    return absl::InvalidArgumentError(absl::StrCat("the price ", text, " is too large"));
  }
  return minor;
}

absl::StatusOr<std::vector<std::string>> ParseEndpoints(const std::string& text) {
  std::vector<std::string> endpoints;
  for (const absl::string_view part : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
    const absl::string_view endpoint = absl::StripAsciiWhitespace(part);
    if (!IsAddressWithPort(endpoint)) {
      const size_t scheme = endpoint.find("://");
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", endpoint, "\" is not HOST:PORT, such as 127.0.0.1:7401",
          scheme == absl::string_view::npos ? "" : absl::StrCat("; leave out ", endpoint.substr(0, scheme + 3))));
    }
    endpoints.emplace_back(endpoint);
  }
  if (endpoints.empty()) return absl::InvalidArgumentError("no HOST:PORT given, such as 127.0.0.1:7401");
  return endpoints;
}

absl::StatusOr<NodeWeight> ParseNodeWeight(const std::string& text) {
  // The last one: a name may contain the separator.
  const size_t equals = text.rfind('=');
  NodeWeight parsed;
  if (equals == std::string::npos || equals == 0 || !absl::SimpleAtoi(text.substr(equals + 1), &parsed.weight) ||
      parsed.weight < 0) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not NODE=WEIGHT, such as node-1=3"));
  }
  parsed.node = text.substr(0, equals);
  return parsed;
}

absl::StatusOr<SkuQuantity> ParseSkuQuantity(const std::string& text) {
  const size_t equals = text.find('=');
  SkuQuantity parsed{text.substr(0, equals), 1};
  const bool counted = equals != std::string::npos;
  if (parsed.sku.empty() || (counted && (!absl::SimpleAtoi(text.substr(equals + 1), &parsed.quantity)))) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not SKU or SKU=QTY, such as tv=2"));
  }
  if (parsed.quantity < 1) return absl::InvalidArgumentError(absl::StrCat("\"", text, "\": QTY must be at least 1"));
  return parsed;
}

std::string FormatPrice(int64_t minor, const std::string& currency) {
  const int decimals = reconcile::DecimalsOf(currency);
  if (decimals == 0) return absl::StrCat(minor, " ", currency);
  int64_t unit = 1;
  for (int i = 0; i < decimals; ++i) unit *= 10;
  return absl::StrFormat("%d.%0*d %s", minor / unit, decimals, minor % unit, currency);
}

std::string FormatTime(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixSeconds(time.seconds()), absl::UTCTimeZone());
}

std::string FormatHold(absl::Duration hold) { return absl::FormatDuration(absl::Trunc(hold, absl::Seconds(1))); }

std::string FormatAge(absl::Duration age) {
  if (age < absl::Minutes(1))
    return absl::StrFormat("%.1fs", absl::ToDoubleSeconds(absl::Trunc(age, absl::Milliseconds(100))));
  return FormatHold(age);
}

}  // namespace tranche::ctl
