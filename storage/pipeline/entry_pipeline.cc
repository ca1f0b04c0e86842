#include "storage/pipeline/entry_pipeline.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/status/status.h"
#include "storage/ledger/ledger_error.h"

namespace tranche::storage {

Uuid EntryWork::IdOf(const DrawEntryClaim& claim) {
  Uuid id;
  for (size_t half = 0; half < 2; ++half) {
    const uint64_t hash = absl::HashOf(half, claim.sku_id, claim.user_id);
    for (size_t i = 0; i < 8; ++i) id.bytes[8 * half + i] = static_cast<uint8_t>(hash >> (8 * i));
  }
  return id;
}

absl::StatusOr<std::vector<DrawEntryResult>> EntryWork::Send(absl::Span<const Item> batch, LockMode mode) {
  claims_.clear();
  for (const PendingEntry& pending : batch) claims_.push_back(pending.claim);
  return ledger_->EnterDraws(mode, claims_);
}

// Of no SKU.
bool EntryWork::LedgerAnswers() {
  const auto found = ledger_->GetDraw(DrawKey{});
  return found.ok() || absl::IsNotFound(found.status()) || IsNoDraw(found.status());
}

void EntryPipeline::Submit(DrawEntryClaim claim, absl::Time deadline, EntryDone done) {
  const Uuid id = EntryWork::IdOf(claim);
  group_.Submit(PendingEntry{std::move(claim), deadline, std::move(done), id});
}

}  // namespace tranche::storage
