// Reconciles a statement with the ledger: sorts the statement by reservation, joins it with the ledger's payments,
// which come in the same order, asks the ledger about reservations that only the statement has, and compares the two.
// Memory is bounded, however long either side is.
#pragma once

#include <functional>
#include <optional>

#include "absl/status/statusor.h"
#include "client/reconcile/classify.h"
#include "client/reconcile/difference.h"
#include "client/reconcile/io.h"
#include "client/reconcile/ledger_entry.h"
#include "client/reconcile/line_sorter.h"
#include "client/reconcile/statement_reader.h"
#include "client/reconcile/totals.h"

namespace tranche::reconcile {

struct ReconcileOptions {
  // Where the statement's window begins and ends, if its lines should not decide that; both inclusive.
  std::optional<int64_t> from_us;
  std::optional<int64_t> to_us;
  SorterOptions sorter;
};

// The results, in no particular order except per reservation. An error from one of these ends the reconciliation with
// that error.
struct ReconcileSinks {
  std::function<absl::Status(const Difference&)> difference;
  std::function<absl::Status(const MalformedLine&)> malformed;
  // Progress, from time to time: the current stage, and the number of lines so far.
  std::function<void(absl::string_view doing, uint64_t lines)> progress;
};

// An empty statement without --from and --to has no window: InvalidArgument. Blocking.
absl::StatusOr<Totals> Reconcile(StatementReader* statement, PaymentBooks* books, const MakeSpillFile& make_spill_file,
                                 const ReconcileOptions& options, const ReconcileSinks& sinks);

}  // namespace tranche::reconcile
