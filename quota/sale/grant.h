// Units on their way from a slice's counter to the ledger: how they are taken, and what becomes of the counter once the
// ledger has decided. Also what a node may refuse without asking the ledger, and what the ledger's refusals mean.
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
  // The announcement by which they were granted, or an older one.
  int64_t version = 0;
};

// False, changing nothing, when not that many units are free.
bool TryGrant(const std::shared_ptr<Slice>& slice, int64_t units, Grant* grant);

// Brings the counter in line with what the ledger decided about the units.
void Settle(const Grant& grant, const SliceTable& table, const absl::StatusOr<storage::CommitResult>& result);

// What the terms alone forbid to who asks for `quantity` units of a SKU.
std::optional<Refused> RefuseByTerms(const SkuTerms& terms, int64_t quantity, absl::Time now);
// The slice is dry.
Refused OutOfUnits(const SkuTerms& terms);

// Of a claim that was not decided: an error of the commit pipeline or of the ledger.
Refusal RefusalOf(const absl::Status& status);
// Of a result that is neither kCreated nor kReplayed nor kBusy.
Refusal RefusalOf(const storage::CommitResult& result);

}  // namespace tranche::quota
