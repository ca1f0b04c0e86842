// Translates the ledger's errors about draws into the API's.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/repeatable.h"
#include "storage/ledger/draw_ledger.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::server {

absl::Status DrawNotFound(const std::string& sku_id);
// `key.number`: 0 if it is not known.
absl::Status DrawEntryNotFound(const storage::DrawKey& key);
// DRAW_STATE. `next_step`: what would be possible, as a sentence.
absl::Status DrawStateForbids(const std::string& sku_id, const storage::DrawStateConflict& conflict,
                              absl::string_view next_step);

// Any error of the ledger, of a call about this draw. `next_step`: for DRAW_STATE.
absl::Status DrawError(const absl::Status& status, const storage::DrawKey& key, absl::string_view next_step,
                       Repeatable repeatable);

}  // namespace tranche::server
