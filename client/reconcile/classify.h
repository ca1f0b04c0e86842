// Compares one reservation's lines of the statement with the ledger's entry about it. Pure.
//
// Lines are taken payment by payment, that is by reference. A refund of the same amount cancels a charge; smaller ones
// lessen it. What the statement says of a payment is then that it is charged (with a net amount), refunded, or absent;
// and that is compared with what the ledger says of it: it confirmed the reservation, came late (rebooked, or to be
// refunded), or is not recorded.
//
// A payment of ours from before the window may have its charge in an earlier statement, so that its absence says
// nothing; one from behind the window is likewise let alone. A line outside of the window only serves to find the other
// side of something within.
#pragma once

#include <vector>

#include "absl/types/span.h"
#include "client/reconcile/difference.h"
#include "client/reconcile/ledger_entry.h"
#include "client/reconcile/statement_line.h"

namespace tranche::reconcile {

// `lines` are of one reservation, sorted by (reference, time); at most kMaxGroupLines, because refunds are paired with
// charges one by one. `entry` may be null (not known); lines or entry are there. Appends to `differences`.
void Classify(const Window& window, absl::Span<const StatementLine> lines, const LedgerEntry* entry,
              std::vector<Difference>* differences);

inline constexpr size_t kMaxGroupLines = 1000;

}  // namespace tranche::reconcile
