#include "server/handlers/draw_errors.h"

#include <cstdint>
#include <optional>

#include "absl/strings/str_cat.h"
#include "server/errors.h"

namespace tranche::server {
namespace {

ErrorMetadata DrawMetadata(const std::string& sku_id, int64_t number) {
  ErrorMetadata metadata = {{"sku_id", sku_id}};
  if (number > 0) metadata.emplace_back("draw_number", absl::StrCat(number));
  return metadata;
}

}  // namespace

absl::Status DrawNotFound(const std::string& sku_id) {
  return MakeError(v1::ERROR_REASON_DRAW_NOT_FOUND,
                   "This SKU has no such draw; AdminService.ListDraws shows those that it has.", {{"sku_id", sku_id}});
}

absl::Status DrawEntryNotFound(const storage::DrawKey& key) {
  return MakeError(v1::ERROR_REASON_DRAW_ENTRY_NOT_FOUND,
                   "This buyer has not entered the draw; EnterDraw does so while it is open.",
                   DrawMetadata(key.sku_id, key.number));
}

absl::Status DrawStateForbids(const std::string& sku_id, const storage::DrawStateConflict& conflict,
                              absl::string_view next_step) {
  ErrorMetadata metadata = DrawMetadata(sku_id, conflict.number);
  if (!conflict.state.empty()) metadata.emplace_back("state", conflict.state);
  const bool of_one = conflict.number > 0 && !conflict.state.empty();
  const std::string why =
      of_one ? absl::StrCat("Draw ", conflict.number, " of this SKU is ", conflict.state, ". ") : "";
  return MakeError(v1::ERROR_REASON_DRAW_STATE, absl::StrCat(why, next_step), metadata);
}

absl::Status DrawError(const absl::Status& status, const storage::DrawKey& key, absl::string_view next_step,
                       Repeatable repeatable) {
  if (storage::IsNoDraw(status)) return DrawNotFound(key.sku_id);
  if (storage::IsNoDrawEntry(status)) return DrawEntryNotFound(key);
  if (storage::IsSeedMismatch(status)) {
    return MakeError(
        v1::ERROR_REASON_DRAW_SEED_MISMATCH,
        "The SHA-256 of this seed is not the seed_commitment that the draw was created with: give the seed "
        "that was committed to.",
        DrawMetadata(key.sku_id, key.number));
  }
  if (const std::optional<storage::DrawStateConflict> conflict = storage::DrawStateConflictOf(status)) {
    return DrawStateForbids(key.sku_id, *conflict, next_step);
  }
  return LedgerError(status, key.sku_id, repeatable);
}

}  // namespace tranche::server
