// Restores the coordination tree from the ledger, whatever was lost of it.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "quota/coordination/announcer.h"
#include "storage/clock.h"
#include "storage/ledger/stock_ledger.h"

namespace tranche::quota {

struct RebuildCount {
  int64_t expected = 0;  // what the ledger says should be there
  int64_t missing = 0;
  int64_t outdated = 0;
};

// Of each kind, what was found; with RebuildMode::kWrite, all that was missing or outdated is then written.
struct RebuildReport {
  RebuildCount fixed_folders;
  RebuildCount skus;
  RebuildCount slice_folders;
  RebuildCount slices;
  RebuildCount drain_requests;
};

enum class RebuildMode { kCount, kWrite };

// Brings up to date: the fixed folders, every SKU's announcement, the folder, the slices and the request to drain of
// every live incarnation. Registrations, reports of demand and the leader's node are ephemeral: their owners write them
// again. Nothing is deleted, and nothing newer is replaced, so that it may run while everything else does.
//
// Goes through the SKUs in pages: memory is bounded by one page's slices, however many SKUs there are. Blocks for as
// long as that takes. Fails with the ledger's or the coordination's error; what was written stays, and repeating it
// goes on from there.
absl::StatusOr<RebuildReport> RebuildTree(SessionSource& sessions, storage::StockLedger& ledger, storage::Clock& clock,
                                          RebuildMode mode);

}  // namespace tranche::quota
