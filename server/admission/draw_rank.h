// The ranks of a draw's entries. Pure; docs/draws.md and scripts/verify_draw.py say the same.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "storage/ledger/draw_ledger.h"
#include "storage/uuid.h"

namespace tranche::server {

// 32 bytes: HMAC-SHA256 with the seed over "tranche-draw-v1", the SKU, the draw's number (8 bytes, big-endian), the
// number of entries (likewise) and the Merkle root, each behind its length in 4 bytes, big-endian. `draw` is sealed and
// seeded.
std::string DrawRankKey(const storage::Draw& draw);

// 32 bytes: HMAC-SHA256 with the key over the 16 bytes of the id. Ranks are compared as bytes; the lowest win.
std::string DrawRank(absl::string_view key, const storage::Uuid& entry_id);

// The key in the form in which the ledger computes the same.
storage::HmacBlocks DrawHmacBlocks(absl::string_view key);

}  // namespace tranche::server
