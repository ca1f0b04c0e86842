// Compares one reservation's lines of the statement with the ledger's entry about it. Pure.
//
// Lines are compared payment by payment, identified by reference. A refund of the same amount cancels a charge; smaller
// refunds reduce it. So by the statement a payment is charged (with a net amount), refunded, or absent. This is
// compared with the ledger's record: the payment confirmed the reservation, came late (rebooked, or to be refunded), or
// is not recorded.
//
// A payment of ours from before the window may have its charge in an earlier statement, so its absence means nothing;
// the same holds for one from after the window. A line outside the window is only used to find the other side of a
// payment within it.
#pragma once

#include <vector>

#include "absl/types/span.h"
#include "client/reconcile/difference.h"
#include "client/reconcile/ledger_entry.h"
#include "client/reconcile/statement_line.h"

namespace tranche::reconcile {

// `lines` are of one reservation, sorted by (reference, time); at most kMaxGroupLines, because refunds are paired with
// charges one by one. `entry` may be null (unknown), but not if there are no lines. Appends to `differences`.
void Classify(const Window& window, absl::Span<const StatementLine> lines, const LedgerEntry* entry,
              std::vector<Difference>* differences);

inline constexpr size_t kMaxGroupLines = 1000;

}  // namespace tranche::reconcile
