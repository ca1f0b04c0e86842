#include "storage/ledger/shard_name.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace tranche::storage {

bool IsShardName(absl::string_view name) {
  if (name.empty() || name.size() > 32 || name == kHomeShard || name.front() == '-' || name.front() == '_')
    return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-' || c == '_'; });
}

}  // namespace tranche::storage
