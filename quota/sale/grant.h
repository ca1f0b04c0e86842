// Units between a slice's counter and the ledger: how they are taken, and how the counter is corrected once the ledger
// has decided. Also what a node may refuse without asking the ledger, and what the ledger's refusals mean.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "quota/sale/sale_result.h"
#include "quota/slices/sku_terms.h"
#include "quota/slices/slice_table.h"
#include "storage/ledger/reservation_ledger.h"

namespace tranche::quota {

// Units taken from a slice's counter.
struct Grant {
  std::shared_ptr<Slice> slice;
  int64_t units = 0;
  // The version of the announcement by which they were granted, or an older one.
  int64_t version = 0;
};

// False, changing nothing, if fewer units are free.
bool TryGrant(const std::shared_ptr<Slice>& slice, int64_t units, Grant* grant);

// Corrects the counter by what the ledger decided about the units.
void Settle(const Grant& grant, const SliceTable& table, const absl::StatusOr<storage::CommitResult>& result);

// The ledger had too few units in the slice.
bool IsShort(const absl::StatusOr<storage::CommitResult>& result);

// The refusal, if the terms alone forbid selling `quantity` units of the SKU.
std::optional<Refused> RefuseByTerms(const SkuTerms& terms, int64_t quantity, absl::Time now);
// The refusal for a slice with too few units for `quantity`. kExhaustedHere unless the terms say that no node has
// enough.
Refused OutOfUnits(const SkuTerms& terms, int64_t quantity);
// Of OutOfUnits: is it in vain to wait for units from elsewhere?
bool IsFinal(const Refused& refused);

// The refusal for a claim that was not decided: an error of the commit pipeline or of the ledger.
Refusal RefusalOf(const absl::Status& status);
// The same of a claim of which an earlier try may have been committed: if this one came too late, that is still open.
Refusal RefusalOf(const absl::Status& status, bool may_exist);
// The refusal for a result other than kCreated, kReplayed, kBusy and kDepends.
Refusal RefusalOf(const storage::CommitResult& result);
// The same with what the caller should know. The ledger gives no numbers; those of the node's `terms` (nullptr: none)
// may be older than its answer, so what contradicts it is left out.
Refused RefusedByLedger(const storage::CommitResult& result, const SkuTerms* terms, int64_t quantity, absl::Time now);

}  // namespace tranche::quota
