// Names of sinks, in the format that the ledger accepts.
#pragma once

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"

namespace tranche::server {

// 1 to 32 characters of [a-z0-9_-], the first of them [a-z0-9].
inline bool IsSinkName(absl::string_view name) {
  const auto plain = [](char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c); };
  return !name.empty() && name.size() <= 32 && plain(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return plain(c) || c == '_' || c == '-'; });
}

}  // namespace tranche::server
