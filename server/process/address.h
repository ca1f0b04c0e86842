// HOST:PORT as given in flags.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace tranche::server {

struct Address {
  std::string host;  // as written: an IPv6 address keeps its brackets
  int port = 0;

  std::string ToString() const;
};

// nullopt unless it is HOST:PORT with a port of 0 to 65535.
std::optional<Address> ParseAddress(absl::string_view text);

// Whether it means every address of the machine.
bool IsWildcard(absl::string_view host);

// This machine's name; "localhost" if it has none.
std::string HostName();

}  // namespace tranche::server
