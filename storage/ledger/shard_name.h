// The names of shards.
#pragma once

#include "absl/strings/string_view.h"

namespace tranche::storage {

// The shard that knows the others (storage/ledger/shard_ledger.h); if there are no others, the only one.
inline constexpr char kHomeShard[] = "home";

// 1 to 32 characters of [a-z0-9_-], the first one a letter or a digit; not "home".
bool IsShardName(absl::string_view name);

}  // namespace tranche::storage
