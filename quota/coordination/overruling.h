// Makes the ledger's word count where an announcement is ahead of it: somebody wrote it by hand, or the ledger is an
// older state of itself (docs/operations.md, "After a restore or failover").
//
// A node obeys the highest version that was announced to it. So the ledger's version is raised above it, and what the
// ledger says is announced with the new version.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "quota/coordination/announcer.h"
#include "storage/ledger/stock_ledger.h"

namespace tranche::quota {

// Reads the ledger again, since most announcements that are ahead of what was read were only made after that: within
// one history, nothing is announced that the ledger does not say by then. Overrules those that are still ahead.
//
// Returns the first error; what failed is found again by the next look. `actor` is written into the audit log.
absl::Status Overrule(storage::StockLedger& ledger, Announcer& announcer, absl::Span<const AheadOfLedger> ahead,
                      const storage::Actor& actor);

}  // namespace tranche::quota
