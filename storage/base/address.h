// HOST:PORT as given in flags.
#pragma once

#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace tranche {

struct Address {
  std::string host;  // as written: an IPv6 address keeps its brackets
  int port = 0;

  std::string ToString() const { return absl::StrCat(host, ":", port); }
};

// nullopt unless it is HOST:PORT with a port of 0 to 65535.
inline std::optional<Address> ParseAddress(absl::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos || colon == 0) return std::nullopt;
  const absl::string_view host = text.substr(0, colon);
  const absl::string_view digits = text.substr(colon + 1);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (!bracketed && absl::StrContains(host, ":")) return std::nullopt;
  if (std::any_of(host.begin(), host.end(), [](char c) { return !absl::ascii_isgraph(c) || c == '/' || c == ','; })) {
    return std::nullopt;
  }
  Address address;
  address.host = std::string(host);
  const bool only_digits = std::all_of(digits.begin(), digits.end(), [](char c) { return absl::ascii_isdigit(c); });
  if (!only_digits || !absl::SimpleAtoi(digits, &address.port) || address.port > 65535) return std::nullopt;
  return address;
}

// The same, for what is to be connected to: port 0 is none.
inline bool IsAddressWithPort(absl::string_view text) {
  const std::optional<Address> address = ParseAddress(text);
  return address.has_value() && address->port > 0;
}

}  // namespace tranche
