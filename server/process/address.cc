#include "server/process/address.h"

#include <unistd.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace tranche::server {

std::string Address::ToString() const { return absl::StrCat(host, ":", port); }

std::optional<Address> ParseAddress(absl::string_view text) {
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

bool IsWildcard(absl::string_view host) { return host == "0.0.0.0" || host == "[::]" || host == "*"; }

std::string HostName() {
  char name[256] = {};
  if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0') return "localhost";
  return name;
}

}  // namespace tranche::server
