// Restores the coordination tree from the ledger, whatever parts of it were lost.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "quota/coordination/announcer.h"
#include "storage/clock.h"
#include "storage/ledger/stock_ledger.h"

namespace tranche::quota {

struct RebuildCount {
  int64_t expected = 0;  // what the ledger says should exist
  int64_t missing = 0;
  int64_t outdated = 0;
};

// Counts what was found of each kind; with RebuildMode::kWrite, then writes all that was missing or outdated.
struct RebuildReport {
  RebuildCount fixed_folders;
  RebuildCount skus;
  RebuildCount slice_folders;
  RebuildCount slices;
  RebuildCount drain_requests;
};

enum class RebuildMode { kCount, kWrite };

// Brings up to date: the fixed folders, every SKU's announcement, and the folder, the slices and the request to drain
// of every live incarnation. Registrations, demand reports and the leader's znode are ephemeral: their owners write
// them again. Nothing is deleted, and nothing newer is replaced, so it may run at any time. What this ledger cannot
// have said is overruled (overruling.h).
//
// Reads the SKUs in pages: memory is bounded by one page's slices, however many SKUs there are. Blocks until all are
// done. Fails with the ledger's or the coordination's error; what was written stays, and a repeated call continues from
// there.
absl::StatusOr<RebuildReport> RebuildTree(SessionSource& sessions, storage::StockLedger& ledger, storage::Clock& clock,
                                          RebuildMode mode);

}  // namespace tranche::quota
